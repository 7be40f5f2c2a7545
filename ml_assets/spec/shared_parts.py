"""Parts of a declaration that another use case of the project has, by reference: `like: flight_delays/weather`.

Sources with their contracts, feature views and expressions are declared once and used by several use cases. What is
taken is read as if it were written out here, so that versions, checks and documentation know no difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_assets.spec.declared import Fault
from ml_assets.spec.marked_yaml import UnreadableYamlError, read_marked
from ml_assets.spec.names import KeyPath, not_among
from ml_assets.spec.raw_yaml import list_of, mapping_of, named_parts, names_in

LIKE, WITHOUT = "like", "without"
_LISTS: tuple[KeyPath, ...] = (("sources",), ("features", "views"), ("features", "expressions"))
_RULES = ("expectations", "rules", "volume", "freshness", "distribution")  # of a source, each with its reason
_ALLOWED = "USE_CASE/NAME, as in flight_delays/weather"


@dataclass
class SharedParts:
    """Writes out what the use case in `folder` takes from others; `faults` are references that lead nowhere.

    Attributes
    ----------
    file
        The name of the declaration in the folder of each use case.
    """

    folder: Path
    file: str
    faults: list[Fault] = field(default_factory=list[Fault])
    _read: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    def write_out(self, declared: Mapping[str, Any]) -> dict[str, Any]:
        """Give the declaration with every part in place; keys that a part has itself stand in place of those taken."""
        found = dict(declared)
        for path in _LISTS:
            parts = _at(found, path)
            if any(LIKE in mapping_of(part) for part in parts):
                written = [self._part(part, path, place) for place, part in enumerate(parts)]
                found = _replaced(found, path, written)
        return found

    def _part(self, part: Any, path: KeyPath, place: int) -> Any:
        own = mapping_of(part)
        if LIKE not in own:
            return part
        taken = self._taken(own[LIKE], path, (*path, place, LIKE))
        if taken is None:
            return part
        if path == ("sources",):
            taken = self._without(taken, own.get(WITHOUT), (*path, place, WITHOUT))
            own.pop(WITHOUT, None)
        del own[LIKE]
        return {**taken, **own}

    def _taken(self, reference: Any, path: KeyPath, here: KeyPath) -> dict[str, Any] | None:
        """Find the part that a reference names; note what is wrong with it otherwise."""
        use_case, slash, name = reference.partition("/") if isinstance(reference, str) else ("", "", "")
        if not (use_case and slash and name):
            self.faults.append((here, f"found {reference!r}; allowed: {_ALLOWED}"))
            return None
        own = self.folder.absolute()
        others = sorted(each.parent.name for each in own.parent.glob(f"*/{self.file}") if each.parent != own)
        if use_case not in others:
            self.faults.append((here, not_among(use_case, others)))
            return None
        parts = {each: part for _, each, part in named_parts(_at(self._declared_by(use_case, here), path))}
        if name not in parts:
            if use_case in self._read:
                said = not_among(name, list(parts))
                self.faults.append((here, f"{said}; these are the {path[-1]} of {use_case}"))
            return None
        if LIKE in parts[name]:
            said = f"found {reference!r}, which is itself taken from {parts[name][LIKE]}; allowed: where it is written"
            self.faults.append((here, said))
            return None
        return parts[name]

    def _declared_by(self, use_case: str, here: KeyPath) -> dict[str, Any]:
        if use_case not in self._read:
            file = self.folder.absolute().parent / use_case / self.file
            try:
                content = read_marked(file.read_bytes()).content
            except (OSError, UnreadableYamlError) as error:
                said = f"found {use_case!r}, whose {self.file} cannot be read: {error}; allowed: a use case that can"
                self.faults.append((here, said))
                return {}
            self._read[use_case] = mapping_of(mapping_of(content).get("attributes"))
        return self._read[use_case]

    def _without(self, source: dict[str, Any], reasons: Any, here: KeyPath) -> dict[str, Any]:
        """Leave out the rules of a contract that are named by their reason."""
        left_out = names_in(reasons)
        known = list(_reasons(source))
        for place, reason in left_out:
            if reason not in known:
                self.faults.append(((*here, place), not_among(reason, known)))
        names = {reason for _, reason in left_out}
        kept = {
            key: [rule for rule in list_of(source[key]) if mapping_of(rule).get("reason") not in names]
            for key in _RULES
            if key in source
        }
        return {**source, **kept}


def _reasons(source: Mapping[str, Any]) -> Iterator[str]:
    for key in _RULES:
        for rule in list_of(source.get(key)):
            reason = mapping_of(rule).get("reason")
            if isinstance(reason, str):
                yield reason


def _at(declared: Mapping[str, Any], path: KeyPath) -> list[Any]:
    part: Any = declared
    for key in path:
        part = mapping_of(part).get(str(key))
    return list_of(part)


def _replaced(declared: Mapping[str, Any], path: KeyPath, parts: list[Any]) -> dict[str, Any]:
    key = str(path[0])
    if len(path) == 1:
        return {**declared, key: parts}
    return {**declared, key: _replaced(mapping_of(declared.get(key)), path[1:], parts)}
