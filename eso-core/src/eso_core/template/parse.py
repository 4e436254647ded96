"""Template text to its parts."""

from __future__ import annotations

from eso_core.template.errors import TemplateError
from eso_core.template.lex import Action, Token, pieces
from eso_core.template.syntax import Branch, Field, Function, Literal, Node, Operand, Pipeline, Text, Variable

_CONSTANTS = {"true": True, "false": False, "nil": None}
_BRANCHES = frozenset({"if", "with", "range"})
_UNSUPPORTED = frozenset({"define", "template", "block", "break", "continue"})
DEEPEST = 100
"""Blocks and parentheses that may stand in one another."""


def parse(template: str) -> tuple[Node, ...]:
    """The parts of `template`. Raises TemplateError with line and column."""
    parser = _Parser(list(pieces(template)))
    nodes, word, action = parser.block(0)
    if action is not None:
        raise TemplateError(f"{action.place}: unexpected {{{{ {word} }}}}")
    return nodes


class _Parser:
    """Walks over pieces, block by block."""

    def __init__(self, items: list[str | Action]) -> None:
        self._items = items
        self._next = 0

    def block(self, depth: int) -> tuple[tuple[Node, ...], str, Action | None]:
        """Parts up to `end` or `else`, which is returned, or up to the end of the template."""
        if depth > DEEPEST:
            raise TemplateError(f"blocks stand more than {DEEPEST} deep in one another")
        nodes: list[Node] = []
        while self._next < len(self._items):
            item = self._items[self._next]
            self._next += 1
            if isinstance(item, str):
                nodes.append(Text(item))
                continue
            word = item.tokens[0].text if item.tokens and item.tokens[0].kind == "word" else ""
            if word in _UNSUPPORTED:
                raise TemplateError(f"{item.place}: {word!r} is not supported")
            if word in {"end", "else"}:
                return tuple(nodes), word, item
            if word in _BRANCHES:
                nodes.append(self._branch(word, item, item.tokens[1:], depth))
            else:
                nodes.append(pipeline_of(item.tokens, item.place))
        return tuple(nodes), "", None

    def _branch(self, word: str, action: Action, tokens: tuple[Token, ...], depth: int) -> Branch:
        pipeline = pipeline_of(tokens, action.place, loop=word == "range")
        body, closing, at = self.block(depth + 1)
        otherwise: tuple[Node, ...] = ()
        if at is not None and closing == "else":
            rest = at.tokens[1:]
            if rest and rest[0].text in {"if", "with"}:
                otherwise = (self._branch(rest[0].text, at, rest[1:], depth + 1),)
                return Branch(word, pipeline, body, otherwise)
            if rest:
                raise TemplateError(f"{at.place}: unexpected {rest[0].text!r} after else")
            otherwise, closing, at = self.block(depth + 1)
        if at is None or closing != "end":
            raise TemplateError(f"{action.place}: {{{{ {word} }}}} has no {{{{ end }}}}")
        return Branch(word, pipeline, body, otherwise)


def pipeline_of(tokens: tuple[Token, ...], place: str, *, loop: bool = False) -> Pipeline:
    """The pipeline in all of `tokens`. With `loop`, two variables may be declared."""
    reader = _Reader(tokens, place)
    pipeline = reader.pipeline(loop=loop)
    reader.expect_end()
    return pipeline


class _Reader:
    """Reads one action's tokens."""

    def __init__(self, tokens: tuple[Token, ...], place: str) -> None:
        self._tokens = tokens
        self._place = place
        self._next = 0
        self._depth = 0

    def _peek(self, offset: int = 0) -> Token | None:
        index = self._next + offset
        return self._tokens[index] if index < len(self._tokens) else None

    def _is(self, text: str, offset: int = 0) -> bool:
        token = self._peek(offset)
        return token is not None and token.kind == "mark" and token.text == text

    def expect_end(self) -> None:
        token = self._peek()
        if token is not None:
            raise TemplateError(f"{token.place}: unexpected {token.text[:20]!r}")

    def pipeline(self, *, loop: bool = False) -> Pipeline:
        variables, declares = self._declaration(loop=loop)
        commands = [self._command()]
        while self._is("|"):
            self._next += 1
            commands.append(self._command())
            if not isinstance(commands[-1][0], Function):
                raise TemplateError(f"{self._place}: only a function can stand behind `|`")
        return Pipeline(tuple(commands), variables, declares, self._place)

    def _declaration(self, *, loop: bool) -> tuple[tuple[str, ...], bool]:
        first = self._peek()
        if first is None or first.kind != "variable":
            return (), False
        names: tuple[str, ...] = (first.text,)
        width = 1
        second = self._peek(2)
        if loop and self._is(",", 1) and second is not None and second.kind == "variable":
            names, width = (first.text, second.text), 3
        if self._is(":=", width) or self._is("=", width):
            declares = self._is(":=", width)
            self._next += width + 1
            return names, declares
        return (), False

    def _command(self) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        while True:
            token = self._peek()
            if token is None or (token.kind == "mark" and token.text in {"|", ")"}):
                break
            operands.append(self._operand(token))
        if not operands:
            raise TemplateError(f"{self._place}: a value or a function is missing")
        if len(operands) > 1 and not isinstance(operands[0], Function):
            raise TemplateError(f"{self._place}: only a function takes arguments")
        return tuple(operands)

    def _operand(self, token: Token) -> Operand:
        self._next += 1
        match token.kind:
            case "text" | "number":
                return Literal(token.value)
            case "field":
                return Field((token.text[1:], *self._chain()), token.place)
            case "variable":
                variable = Variable(token.text, token.place)
                path = self._chain()
                return Field(path, token.place, variable) if path else variable
            case "word":
                return (
                    Literal(_CONSTANTS[token.text])
                    if token.text in _CONSTANTS
                    else Function(token.text, token.place)
                )
        if token.text == ".":
            return Field((), token.place)
        if token.text == "(":
            return self._parenthesis(token)
        raise TemplateError(f"{token.place}: unexpected {token.text!r}")

    def _parenthesis(self, token: Token) -> Operand:
        self._depth += 1
        if self._depth > DEEPEST:
            raise TemplateError(f"{token.place}: parentheses stand more than {DEEPEST} deep in one another")
        inner = self.pipeline()
        if not self._is(")"):
            raise TemplateError(f"{token.place}: `(` has no `)`")
        self._next += 1
        self._depth -= 1
        path = self._chain()
        return Field(path, token.place, inner) if path else inner

    def _chain(self) -> tuple[str, ...]:
        path = []
        while (token := self._peek()) is not None and token.kind == "field" and not token.spaced:
            path.append(token.text[1:])
            self._next += 1
        return tuple(path)
