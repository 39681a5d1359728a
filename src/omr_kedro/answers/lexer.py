r"""The words and signs of formulas. Functions and some names may come without a backslash, as in plain text."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MAX_TOKENS = 300
_MAX_DIGITS = 300
GREEK = frozenset(
    {
        "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "vartheta", "iota", "kappa",
        "lambda", "mu", "nu", "xi", "rho", "varrho", "sigma", "tau", "upsilon", "phi", "varphi", "chi", "psi", "omega",
        "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega", "ell", "pi",
        "infty",
    }
)  # fmt: skip
FUNCTIONS = frozenset(
    {
        "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "ln", "log",
        "exp",
    }
)  # fmt: skip
PARSED_COMMANDS = frozenset(
    {*GREEK, *FUNCTIONS, "frac", "sqrt", "binom", "lfloor", "rfloor", "lceil", "rceil", "cdot", "times", "div", "circ"}
)
"""All commands that this module reads."""
_NAMES = sorted({*FUNCTIONS, "sqrt", "pi", "theta", "infty"}, key=len, reverse=True)
_TOKEN = re.compile(
    rf"""\ * (?:
      (?P<number>\d+\.(?=\ *\\overline)|\d+(?:\.\d+)?|\.\d+)
    | \\(?P<command>[a-zA-Z]+|[{{}}])
    | (?P<name>{"|".join(_NAMES)})
    | (?P<letter>[a-zA-Z])
    | (?P<sign>\*\*|[-+*/^_!|'(){{}}\[\]])
    )""",
    re.VERBOSE,
)


class UnclearError(Exception):
    """The text has no meaning that is known here."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a formula: `kind` is the name of its group, `text` is without the backslash."""

    kind: str
    text: str
    spaced: bool
    """Whether a blank stands before it."""


END = Token("end", "", False)


def read_tokens(text: str) -> list[Token]:
    """The tokens of a formula in the spelling of `plain_latex`.

    Raises:
        UnclearError: it holds something else, or too much.
    """
    tokens: list[Token] = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found or len(tokens) >= _MAX_TOKENS:
            raise UnclearError
        kind = str(found.lastgroup)
        word = found[kind]
        if len(word) > _MAX_DIGITS:
            raise UnclearError
        tokens.append(Token("command" if kind == "name" else kind, word, text[position] == " "))
        position = found.end()
    return tokens


class Cursor:
    """A place in a row of tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.place = 0

    @property
    def at_end(self) -> bool:
        """Whether all tokens were taken."""
        return self.place == len(self.tokens)

    def peek(self) -> Token:
        """The next token, or one of the kind `end`."""
        return self.tokens[self.place] if self.place < len(self.tokens) else END

    def take(self) -> Token:
        """The next token, and go on.

        Raises:
            UnclearError: there is none.
        """
        token = self.peek()
        self.place += 1
        if token is END:
            raise UnclearError
        return token

    def expect(self, text: str) -> None:
        """Go on over a token that must stand here.

        Raises:
            UnclearError: another one does.
        """
        if self.take().text != text:
            raise UnclearError
