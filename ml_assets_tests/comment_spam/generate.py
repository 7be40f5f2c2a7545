"""Makes comments of 120 days up, with the truth of each, and the answers of moderators to 120 of them.

No package of the index ships public comments, so these are generated: seeded, 30 a day, half of them spam. A comment
is a few words of a vocabulary. Spam uses cues of advertising more often, and others use them too, so no word says what
a comment is, and functions that look for words err.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np

START, DAYS, PER_DAY, GOLD = date(2023, 1, 2), 120, 30, 120
SPAM_SHARE = 0.5
# how often a comment holds a word: in spam, in others
CUES = {
    "check": (0.25, 0.05), "subscribe": (0.22, 0.03), "http": (0.16, 0.01), "please": (0.23, 0.06),
    "channel": (0.28, 0.05), "free": (0.16, 0.02), "money": (0.15, 0.03), "visit": (0.13, 0.01),
    "win": (0.12, 0.03), "followers": (0.13, 0.01), "website": (0.14, 0.01), "my": (0.41, 0.2),
    "song": (0.1, 0.27), "love": (0.1, 0.25), "best": (0.1, 0.18), "voice": (0.02, 0.1),
    "memories": (0.01, 0.09), "listening": (0.03, 0.14), "views": (0.08, 0.14), "haha": (0.01, 0.07),
}  # fmt: skip
FILLERS = ("this", "so", "the", "video", "and", "is", "good", "you", "for", "when", "was", "here", "again", "still",
           "music", "everyone", "today", "made", "a", "lot", "of")  # fmt: skip
COMMENTS = ("comment_id", "author", "posted_at", "text")
ANSWERS = ("comment_id", "checked_at", "is_spam")
OPINIONS = ("comment_id", "moderator", "guideline", "checked_at", "is_spam")
RIGHT = {"ana": 0.93, "ben": 0.9, "cem": 0.94, "dot": 0.6}  # how often a moderator is right; dot is not good at it


@dataclass(frozen=True)
class Comment:
    """A comment and whether it is spam."""

    comment_id: str
    author: str
    posted_at: datetime
    text: str
    is_spam: bool


def draw_comments(seed: int = 7) -> list[Comment]:
    """Draw all comments, in order of time."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(DAYS * PER_DAY):
        day, place = divmod(number, PER_DAY)
        is_spam = bool(rng.random() < SPAM_SHARE)
        words = [word for word, (spam, other) in CUES.items() if rng.random() < (spam if is_spam else other)]
        words += [
            str(word) for word in rng.choice(FILLERS, size=int(rng.integers(2, 9 if is_spam else 6)), replace=False)
        ]
        posted = datetime(START.year, START.month, START.day) + timedelta(days=day, minutes=int(place * 46))  # noqa: DTZ001
        author = f"a{int(rng.integers(0, 900)):03}"
        found.append(Comment(f"c{number:05}", author, posted, " ".join(map(str, rng.permutation(words))), is_spam))
    return found


def answered(comments: list[Comment], n: int = GOLD, seed: int = 11) -> list[tuple[Comment, datetime]]:
    """Choose `n` comments at random, one a moderator looked at, and give each with the moment of the answer."""
    chosen = np.random.default_rng(seed).choice(len(comments), size=n, replace=False)
    return [(comments[place], comments[place].posted_at + timedelta(hours=30)) for place in sorted(chosen)]


def opinions(gold: list[tuple[Comment, datetime]], seed: int = 13) -> list[list[object]]:
    """Let three of four moderators answer for each gold comment, an hour before they agree on the gold label."""
    rng = np.random.default_rng(seed)
    rows: list[list[object]] = []
    for comment, at in gold:
        for name in rng.permutation(list(RIGHT))[:3]:
            said = comment.is_spam if rng.random() < RIGHT[name] else not comment.is_spam
            version = "v1" if comment.posted_at.month < 3 else "v2"
            rows.append([comment.comment_id, str(name), version, at - timedelta(hours=1), int(said)])
    return rows


def land_comments(landing: Path, last: date, comments: list[Comment], gold: list[tuple[Comment, datetime]]) -> None:
    """Write the files of each drop up to `last` below `landing`, as they would have arrived by 04:00 UTC of its day."""
    day, opined = START, opinions(gold)
    while day <= last:
        until = datetime(day.year, day.month, day.day, 4)  # noqa: DTZ001
        after = until - timedelta(days=1)
        posted = [each for each in comments if after < each.posted_at <= until]
        told = [(each, at) for each, at in gold if after < at <= until]
        folder = landing / day.isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "comments.csv", COMMENTS, [[c.comment_id, c.author, c.posted_at, c.text] for c in posted])
        if told:
            _write(folder / "answers.csv", ANSWERS, [[c.comment_id, at, int(c.is_spam)] for c, at in told])
        said = [row for row in opined if isinstance(row[3], datetime) and after < row[3] <= until]
        if said:
            _write(folder / "opinions.csv", OPINIONS, said)
        day += timedelta(days=1)


def _write(file: Path, header: tuple[str, ...], rows: list[list[object]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
