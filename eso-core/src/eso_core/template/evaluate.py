"""Evaluates a parsed template over a map of texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from eso_core.template.errors import TemplateError
from eso_core.template.functions import FUNCTIONS, SUPPORTED
from eso_core.template.gotext import go_text, truth
from eso_core.template.syntax import Field, Function, Literal, Node, Operand, Pipeline, Text, Variable

LONGEST = 16 * 1024 * 1024
"""Characters that a template may produce."""
_NONE = object()


class Evaluation:
    """One rendering. It keeps the variables, scope by scope."""

    def __init__(self, data: Mapping[str, Any], *, missing_is_error: bool) -> None:
        self._missing_is_error = missing_is_error
        root: dict[str, Any] = {"$": data}
        self._scopes = [root]
        self._data = data
        self._length = 0

    def text_of(self, nodes: Sequence[Node]) -> str:
        """The text of the whole template."""
        return "".join(self._render(nodes, self._data))

    def _render(self, nodes: Sequence[Node], dot: Any) -> Iterator[str]:
        for node in nodes:
            match node:
                case Text(text=text):
                    yield self._counted(text)
                case Pipeline():
                    value = self._pipeline(node, dot)
                    if not node.variables:
                        yield self._counted(go_text(value))
                case _:
                    yield from self._scoped(
                        self._branch(node.word, node.pipeline, node.body, node.otherwise, dot)
                    )

    def _counted(self, text: str) -> str:
        self._length += len(text)
        if self._length > LONGEST:
            raise TemplateError(f"the result is longer than {LONGEST} characters")
        return text

    def _scoped(self, parts: Iterator[str]) -> Iterator[str]:
        self._scopes.append({})
        try:
            yield from parts
        finally:
            self._scopes.pop()

    def _branch(
        self, word: str, pipeline: Pipeline, body: Sequence[Node], otherwise: Sequence[Node], dot: Any
    ) -> Iterator[str]:
        if word == "range":
            yield from self._loop(pipeline, body, otherwise, dot)
            return
        value = self._pipeline(pipeline, dot)
        if truth(value):
            yield from self._render(body, value if word == "with" else dot)
        else:
            yield from self._render(otherwise, dot)

    def _loop(
        self, pipeline: Pipeline, body: Sequence[Node], otherwise: Sequence[Node], dot: Any
    ) -> Iterator[str]:
        value = self._pipeline(Pipeline(pipeline.commands, place=pipeline.place), dot)
        pairs: Iterable[tuple[Any, Any]]
        match value:
            case Mapping():
                pairs = sorted(value.items())
            case list() | tuple():
                pairs = enumerate(value)
            case None:
                pairs = ()
            case _:
                raise TemplateError(f"{pipeline.place}: range needs a list or a map")
        empty = True
        for key, item in pairs:
            empty = False
            names = dict(
                zip(
                    pipeline.variables, (item,) if len(pipeline.variables) == 1 else (key, item), strict=False
                )
            )
            self._scopes.append(names)
            try:
                yield from self._render(body, item)
            finally:
                self._scopes.pop()
        if empty:
            yield from self._render(otherwise, dot)

    def _pipeline(self, pipeline: Pipeline, dot: Any) -> Any:
        value: Any = _NONE
        for command in pipeline.commands:
            value = self._command(command, dot, value)
        for name in pipeline.variables:
            if pipeline.declares:
                self._scopes[-1][name] = value
            else:
                self._scope_of(name, pipeline.place)[name] = value
        return value

    def _scope_of(self, name: str, place: str) -> dict[str, Any]:
        scope: dict[str, Any]
        for scope in reversed(self._scopes):
            if name in scope:
                return scope
        raise TemplateError(f"{place}: variable {name} is not declared")

    def _command(self, command: Sequence[Operand], dot: Any, piped: Any) -> Any:
        first = command[0]
        if not isinstance(first, Function):
            return self._value(first, dot)
        return self._call(first, command[1:], dot, piped)

    def _call(self, function: Function, operands: Sequence[Operand], dot: Any, piped: Any) -> Any:
        name, place = function.name, function.place
        if name in {"and", "or"}:
            return self._logic(name, place, operands, dot, piped)
        implementation = FUNCTIONS.get(name)
        if implementation is None:
            raise TemplateError(f"{place}: function {name!r} is not supported; supported are {SUPPORTED}")
        arguments = [self._value(operand, dot) for operand in operands]
        if piped is not _NONE:
            arguments.append(piped)
        try:
            return implementation(*arguments)
        except TemplateError as error:
            raise TemplateError(f"{place}: {name}: {error}") from None
        except (
            TypeError,
            ValueError,
            ArithmeticError,
            LookupError,
            AttributeError,
            RecursionError,
            MemoryError,
        ):
            # Their texts may hold the value that they could not handle.
            raise TemplateError(f"{place}: {name}: wrong number or type of arguments") from None

    def _logic(self, name: str, place: str, operands: Sequence[Operand], dot: Any, piped: Any) -> Any:
        value: Any = None
        if not operands and piped is _NONE:
            raise TemplateError(f"{place}: {name}: a value is missing")
        for operand in operands:
            value = self._value(operand, dot)
            if truth(value) is (name == "or"):
                return value
        return value if piped is _NONE else piped

    def _value(self, operand: Operand, dot: Any) -> Any:
        match operand:
            case Literal(value=value):
                return value
            case Variable(name=name, place=place):
                return self._scope_of(name, place)[name]
            case Field(path=path, place=place, base=base):
                start = dot if base is None else self._value(base, dot)
                return self._walk(start, path, place)
            case Function():
                return self._call(operand, (), dot, _NONE)
            case Pipeline():
                return self._pipeline(operand, dot)

    def _walk(self, value: Any, path: Sequence[str], place: str) -> Any:
        for name in path:
            if not isinstance(value, Mapping):
                raise TemplateError(f"{place}: .{name} is asked of something that is no map")
            if name not in value and self._missing_is_error:
                raise TemplateError(f"{place}: there is no key {name!r}")
            value = value.get(name)
        return value
