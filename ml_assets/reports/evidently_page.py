"""Evidently's page on a sample of a window and its reference: for reading, never for deciding.

Evidently writes values raw into a script of its page, so a value of a landed file could run as code in the browser of
whoever reads it. Values lose the characters that HTML gives a meaning to before Evidently sees them, and a policy in
the page lets no script run but the four that Evidently's page has.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_LOOKALIKES = str.maketrans({"<": "\uff1c", ">": "\uff1e", "&": "\uff06", "\u2028": " ", "\u2029": " "})
_SCRIPTS = 4  # the data, a line before the library, the library, the call that draws
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)


class UnsafePageError(RuntimeError):
    """A page of Evidently that is not made as this version of the code knows it, and is not written."""


def draw_page(reference: pd.DataFrame, window: pd.DataFrame, *, rows: int, seed: int) -> tuple[str, tuple[str, ...]]:
    """Draw Evidently's drift page of the columns that both frames have.

    Columns without a finite value on either side are left out, since one of them ends Evidently's whole report; values
    that are not finite count as missing.

    Parameters
    ----------
    rows
        At most so many rows a side, drawn without replacement.

    Returns
    -------
    html, left_out
        The page, complete in one file, and the columns that are not on it. The page is empty when none is left.

    Raises
    ------
    UnsafePageError
        If the page has other scripts than it should.
    """
    import warnings

    rng = np.random.default_rng(seed)
    sides = [_sample(frame, rows, rng) for frame in (reference, window)]
    shared = [name for name in sides[0].columns if name in sides[1].columns]
    shown = [name for name in shared if all(side[name].notna().any() for side in sides)]
    left_out = tuple(name for name in dict.fromkeys([*reference.columns, *window.columns]) if name not in shown)
    if not shown:
        return "", left_out
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what third parties deprecate is no news to the reader of a page
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        texts = [name for name in shown if sides[0][name].dtype == object]
        definition = DataDefinition(
            numerical_columns=[name for name in shown if name not in texts], categorical_columns=texts
        )
        old, new = (Dataset.from_pandas(side[shown], data_definition=definition) for side in sides)
        snapshot = Report([DataDriftPreset()]).run(reference_data=old, current_data=new)
        return with_policy(snapshot.get_html_str(as_iframe=False)), left_out


def with_policy(html: str) -> str:
    """Add a Content-Security-Policy that names each script of the page by its hash and allows no other.

    Raises
    ------
    UnsafePageError
        If the page has more or fewer scripts than Evidently's page has.
    """
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    if len(scripts) != _SCRIPTS or html.count("<head>", 0, html.find("<script>")) != 1:
        raise UnsafePageError(
            f"Evidently's page: found {len(scripts)} scripts; allowed: {_SCRIPTS}. It is not written, as one of them "
            "may come from the data; `ml-assets drift` without --page shows the same monitors"
        )
    hashes = " ".join(f"'sha256-{b64encode(hashlib.sha256(each.encode()).digest()).decode()}'" for each in scripts)
    policy = _POLICY.format(scripts=hashes)
    return html.replace("<head>", f'<head>\n<meta http-equiv="Content-Security-Policy" content="{policy}">', 1)


def _sample(frame: pd.DataFrame, rows: int, rng: np.random.Generator) -> pd.DataFrame:
    kept = np.sort(rng.choice(len(frame), size=min(rows, len(frame)), replace=False))
    drawn = frame.iloc[kept].reset_index(drop=True)
    numbers = drawn.select_dtypes(include=["number", "bool"]).columns
    drawn[numbers] = drawn[numbers].astype(float).replace([np.inf, -np.inf], np.nan)
    for name in drawn.columns.difference(numbers):
        drawn[name] = drawn[name].map(_without_markup)
    return drawn.rename(columns=_without_markup)


def _without_markup(value: object) -> object:
    r"""Replace what HTML gives a meaning to by characters that look like it; what is no text stays.

    >>> ascii(_without_markup("</script>a&b")), _without_markup(None)
    ("'\\uff1c/script\\uff1ea\\uff06b'", None)
    """
    return value.translate(_LOOKALIKES) if isinstance(value, str) else value
