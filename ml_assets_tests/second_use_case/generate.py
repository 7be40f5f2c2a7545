"""Makes the past of a lender up: 5,000 loans of two years, and how each stood 30 days later.

Seeded, so that the truth is known: 8 % of loans are late, the more the thinner the income beside the amount, the lower
the score of the bureau, and the worse the branch of late. Moments are local times of Asia/Kolkata without a zone, and
headers are spelled as an export spells them.
"""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

LOANS = 5000
_START = datetime(2022, 1, 3, 0, 0)  # noqa: DTZ001 - an export of local times
_WEEKS = 104
_BRANCHES = ("Pune", "Nagpur", "Surat", "Mysuru", "Kochi", "Indore", "Guntur", "Salem")
_PRODUCTS = ("crop", "livestock", "shop", "tools")
APPLICATION = ("Loan ID", "Applied At", "Customer ID", "Branch", "Product", "Amount INR", "Tenure Weeks",
               "Monthly Income INR", "Bureau Score")  # fmt: skip
REPAYMENT = ("Loan ID", "Branch", "Checked At", "Days Late")


def write_past(folder: Path) -> tuple[Path, Path]:
    """Write applications.csv and repayments.csv into `folder`, and give their paths."""
    rng = np.random.default_rng(20220103)
    minutes = np.sort(rng.choice(_WEEKS * 7 * 600, size=LOANS, replace=False))  # 600 minutes a day: 09:00 to 19:00
    customers = rng.integers(10_000, 13_500, size=LOANS)
    branches = rng.integers(0, len(_BRANCHES), size=LOANS)
    products = rng.choice(len(_PRODUCTS), size=LOANS, p=(0.4, 0.3, 0.2, 0.1))
    income = np.round(np.exp(rng.normal(9.6, 0.5, size=LOANS)), -2)
    amount = np.round(income * np.exp(rng.normal(0.9, 0.6, size=LOANS)), -2)
    score = np.clip(np.round(rng.normal(680, 70, size=LOANS)), 300, 900)
    weeks = minutes // (7 * 600)
    swing = rng.normal(0, 0.5, size=(len(_BRANCHES), _WEEKS // 8 + 1))  # a branch has good and bad months
    risk = -3.74 + 0.95 * np.log(amount / income) - 0.012 * (score - 680) + swing[branches, weeks // 8]
    is_late = rng.random(LOANS) < 1 / (1 + np.exp(-risk))
    days_late = np.where(is_late, rng.integers(8, 31, size=LOANS), rng.integers(0, 8, size=LOANS))
    is_scored = rng.random(LOANS) > 0.12
    applications, repayments = [], []
    for row in range(LOANS):
        applied = _START + timedelta(days=int(minutes[row] // 600), hours=9, minutes=int(minutes[row] % 600))
        loan, branch = f"L{100_000 + row}", _BRANCHES[branches[row]]
        applications.append([
            loan, applied, f"C{customers[row]}", branch, _PRODUCTS[products[row]], int(amount[row]),
            int(rng.choice((12, 26, 52))), int(income[row]), int(score[row]) if is_scored[row] else "",
        ])  # fmt: skip
        repayments.append([loan, branch, applied + timedelta(days=30), int(days_late[row])])
    files = folder / "applications.csv", folder / "repayments.csv"
    for file, header, rows in zip(files, (APPLICATION, REPAYMENT), (applications, repayments), strict=True):
        with file.open("w", encoding="utf-8", newline="") as target:
            writer = csv.writer(target, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
    return files
