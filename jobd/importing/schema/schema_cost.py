"""How much work a JSON Schema can make: known before the first row, since checking cannot be broken off.

Subschemas that apply to the same value multiply with each reference, and again with each level of the value that
a schema which refers to itself goes down. So the steps are counted level by level, as if every branch were taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag, urljoin

from jobd.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS_MAX = 100_000
LEVELS_MAX = 200
NODES_MAX = 20_000
PATTERNS_MAX = 100

_ROOT = "https://schema.invalid/"
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_HERE = ("not", "if", "then", "else")
_HERE_LISTED = ("allOf", "anyOf", "oneOf")
_HERE_NAMED = ("dependentSchemas", "dependencies")
_BELOW = (
    "additionalProperties", "items", "additionalItems", "contains", "propertyNames", "unevaluatedItems",
    "unevaluatedProperties",
)  # fmt: skip
_BELOW_LISTED = ("prefixItems", "items")
_UNEVALUATED = ("unevaluatedItems", "unevaluatedProperties")

Node = dict[str, Any]


class SchemaCost:
    """The steps that one value may take: ``steps`` at most, for values of ``levels`` levels (None: any)."""

    def __init__(self, schema: Node) -> None:
        self._nodes: dict[int, Node] = {}
        self._bases: dict[int, str] = {}
        self._named: dict[str, Node] = {}
        self._patterns = 0
        self._collect(schema, _ROOT)
        if self._patterns > PATTERNS_MAX:
            raise OptionError(f"option schema has {self._patterns} patterns; {PATTERNS_MAX} are allowed")
        here = {key: list(self._applied_here(node)) for key, node in self._nodes.items()}
        self._order = _deepest_first(here, id(schema))
        self._here = here
        self._below = {key: _below(self._nodes[key]) for key in self._order}
        self.levels: int | None = None
        self.steps = 0
        self._count(id(schema))

    def _collect(self, value: Any, base: str) -> None:
        """Every object of the schema, with the address that references in it are relative to."""
        waiting = [(value, base)]
        self._named[base] = value
        while waiting:
            value, base = waiting.pop()
            if isinstance(value, dict):
                if len(self._nodes) >= NODES_MAX:
                    raise OptionError(f"option schema has more than {NODES_MAX:,} objects")
                name = value.get("$id", value.get("id"))
                if isinstance(name, str):
                    base = urljoin(base, name).rstrip("#")
                    self._named.setdefault(base, value)
                for anchor in (value.get("$anchor"), value.get("$dynamicAnchor")):
                    if isinstance(anchor, str):
                        self._named.setdefault(f"{base}#{anchor}", value)
                self._nodes[id(value)] = value
                self._bases[id(value)] = base
                self._patterns += isinstance(value.get("pattern"), str)
                named = value.get("patternProperties")
                self._patterns += len(named) if isinstance(named, dict) else 0
                waiting += [(each, base) for each in value.values()]
            elif isinstance(value, list):
                waiting += [(each, base) for each in value]

    def _applied_here(self, node: Node) -> Iterator[Node]:
        """Subschemas that judge the same value."""
        for keyword in _REFERENCES:
            if isinstance(node.get(keyword), str):
                found = self._referred(node[keyword], self._bases[id(node)])
                if found is not None:
                    yield found
        yield from _children(node, _HERE, _HERE_LISTED, _HERE_NAMED)

    def _referred(self, reference: str, base: str) -> Node | None:
        """What a reference leads to; None: to one of the standard's own schemas, or to nothing, said elsewhere."""
        address = urljoin(base, reference)
        if address.rstrip("#") in self._named:
            return _as_node(self._named[address.rstrip("#")])
        resource, fragment = urldefrag(address)
        value: Any = self._named.get(resource)
        for part in unquote(fragment).split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list):
                value = value[int(key)] if key.isdecimal() and int(key) < len(value) else None
        return _as_node(value)

    def _count(self, root: int) -> None:
        before: dict[int, int] = {}
        for level in range(LEVELS_MAX + 1):
            steps: dict[int, int] = {}
            for key in self._order:
                here = sum(steps[id(each)] for each in self._here[key])
                if any(keyword in self._nodes[key] for keyword in _UNEVALUATED):
                    here *= 2
                # Of one value's properties each is counted with the property's own value.
                alone, one_of = self._below[key]
                below = sum(before.get(id(each), 0) for each in alone)
                below += max((before.get(id(each), 0) for each in one_of), default=0)
                steps[key] = min(1 + here + below, STEPS_MAX + 1)
            if steps[root] > STEPS_MAX:
                if level <= 1:  # a row, which is an object, and its values
                    raise OptionError(
                        f"option schema may take more than {STEPS_MAX:,} steps for one value: its subschemas "
                        "multiply by referring to each other"
                    )
                self.levels = level - 1
                return
            self.steps = steps[root]
            if steps == before:
                return
            before = steps


def _as_node(value: Any) -> Node | None:
    return value if isinstance(value, dict) else None


def _children(
    node: Node, single: tuple[str, ...], listed: tuple[str, ...], named: tuple[str, ...]
) -> Iterator[Node]:
    for keyword in single:
        if isinstance(node.get(keyword), dict):
            yield node[keyword]
    for keyword in listed:
        if isinstance(node.get(keyword), list):
            yield from (each for each in node[keyword] if isinstance(each, dict))
    for keyword in named:
        if isinstance(node.get(keyword), dict):
            yield from (each for each in node[keyword].values() if isinstance(each, dict))


def _below(node: Node) -> tuple[list[Node], list[Node]]:
    """Subschemas that judge what is in the value: each of the first, one of the second."""
    return (
        list(_children(node, _BELOW, _BELOW_LISTED, ("patternProperties",))),
        list(_children(node, (), (), ("properties",))),
    )


def _deepest_first(here: dict[int, list[Node]], root: int) -> list[int]:
    """All objects, each behind those that judge the same value as it; raises OptionError where that has no end."""
    order: list[int] = []
    state: dict[int, bool] = {}  # False: its own are being looked at; True: done
    for start in (root, *here):
        waiting = [start]
        while waiting:
            key = waiting[-1]
            if key in state:
                waiting.pop()
                if not state[key]:
                    state[key] = True
                    order.append(key)
                continue
            state[key] = False
            for each in here[key]:
                if state.get(id(each)) is False:
                    raise OptionError(
                        "option schema refers to itself without going into the value, so without end"
                    )
                if id(each) not in state:
                    waiting.append(id(each))
    return order
