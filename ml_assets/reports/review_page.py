"""The page on which a person answers the review queue; its data come from the server that gives it."""

from __future__ import annotations

from ml_assets.reports.page import render_page
from ml_assets.spec.use_case import UseCaseSpec


def review_page(spec: UseCaseSpec, nonce: str) -> str:
    """Write the page. Its own script and style run by the `nonce` alone; values come as JSON and are set as text."""
    return render_page("review.html.j2", title=f"{spec.name}: review", nonce=nonce)


def review_policy(nonce: str) -> str:
    """Give the content security policy that the page is served with: nothing from elsewhere, no script but its own."""
    own = f"'nonce-{nonce}'"
    return (
        f"default-src 'none'; script-src {own}; style-src {own}; img-src data:; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
