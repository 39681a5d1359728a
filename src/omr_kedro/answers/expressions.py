r"""Formulas as trees: a careful reader of the LaTeX and the plain text in which short answers are written.

It reads what has one meaning only, and never guesses at `1/2x`, `x2`, `f(x)` or an unknown command.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from omr_kedro.answers.lexer import FUNCTIONS, GREEK, Cursor, Token, UnclearError, read_tokens
from omr_kedro.answers.trees import AMBIGUOUS, DEGREE, Expr, depth, number

# Of what stands inside one another, with brackets or without (`\sin\sin x`), and of the tree, which products and towers
# of powers make deep as well. No answer comes near; each level costs those who walk over trees a call or two.
_MAX_NESTING = 40
_MAX_DEPTH = 120
_INVERSES = {"sin": "arcsin", "cos": "arccos", "tan": "arctan"}
_CALLED_LETTERS = frozenset({*"fghpqFGHPQRST", "phi", "varphi", "psi", "sigma", "tau", "mu", "Gamma", "zeta", "omega"})
_SYMBOL_OF = {"infty": "\\infty", "pi": "\\pi"}


class _AmbiguousError(Exception):
    """The text has more than one meaning."""


@lru_cache(maxsize=4096)
def parse_expression(text: str) -> Expr | None:
    """The tree of a formula in the spelling of `plain_latex`.

    None when it is not read, `AMBIGUOUS` when it has more than one meaning.
    """
    try:
        parser = _Parser(read_tokens(text))
        tree = parser.sum()
        return tree if parser.at_end and depth(tree) <= _MAX_DEPTH else None
    except UnclearError:
        return None
    except _AmbiguousError:
        return AMBIGUOUS


class _Parser(Cursor):
    """Recursive descent; each method reads what it's named after."""

    _nesting = 0

    def sum(self) -> Expr:
        terms = [self._signed_product()]
        while self.peek().text in {"+", "-"}:
            terms.append(self._signed_product())
        return terms[0] if len(terms) == 1 else Expr("add", tuple(terms))

    def _signed_product(self) -> Expr:
        negative = False
        while self.peek().text in {"+", "-"}:
            negative ^= self.take().text == "-"
        product = self._product()
        return Expr("neg", (product,)) if negative else product

    def _product(self) -> Expr:
        result = self._mixed_number() or self._power()
        divided = False
        while True:
            token = self.peek()
            if token.text in {"*", "cdot", "times"}:
                self.take()
                result = Expr("mul", (result, self._signed_power()))
            elif token.text in {"/", "div"}:
                self.take()
                result = Expr("div", (result, self._signed_power()))
                divided = True
            elif self._starts_factor(token):
                if divided or token.kind == "number":
                    raise _AmbiguousError
                result = Expr("mul", (result, self._power()))
            else:
                return result

    def _signed_power(self) -> Expr:
        if self.peek().text == "-":
            self.take()
            return Expr("neg", (self._power(),))
        return self._power()

    def _mixed_number(self) -> Expr | None:
        r"""`3\frac{1}{2}` and `3 1/2`: a sum, by convention. `3\frac{x}{2}` is a product.

        None when neither a fraction nor a number with a blank follows a whole number.
        """
        start = self.place
        whole = self.peek()
        if whole.kind != "number" or not whole.text.isdigit():
            return None
        self.take()
        part = None
        is_fraction = self.peek().text == "frac"
        if is_fraction:
            part = self._base()
        elif self.peek().kind == "number" and self.peek().spaced:
            part = self._plain_fraction()
        if part and part.op == "div" and all(arg.op == "number" for arg in part.args):
            top, bottom = (arg.value for arg in part.args)
            if 0 < top < bottom and self.peek().text not in {"^", "_", "!"}:
                return Expr("add", (number(int(whole.text)), part))
            raise UnclearError
        if part and is_fraction:
            # What was read is kept: to read each fraction within a fraction twice takes 2^depth.
            return Expr("mul", (number(int(whole.text)), self._raised_to_powers(part)))
        self.place = start
        return None

    def _plain_fraction(self) -> Expr | None:
        tokens = self.tokens[self.place : self.place + 3]
        if [token.text for token in tokens[1:2]] != ["/"] or len(tokens) < 3:
            return None
        first, _, bottom = tokens
        if not (first.text.isdigit() and bottom.text.isdigit()):
            return None
        self.place += 3
        return Expr("div", (number(int(first.text)), number(int(bottom.text))))

    def _power(self) -> Expr:
        return self._raised_to_powers(self._base())

    def _raised_to_powers(self, base: Expr) -> Expr:
        while True:
            token = self.peek()
            if token.text == "!":
                self.take()
                if self.peek().text == "!":
                    # The double factorial is no factorial of a factorial.
                    raise UnclearError
                base = Expr("factorial", (base,))
            elif token.text in {"^", "**"}:
                self.take()
                base = self._raised(base)
            else:
                return base

    def _raised(self, base: Expr) -> Expr:
        if base.op == "pow":
            raise UnclearError
        if degrees := self._degrees():
            return Expr("mul", (base, degrees))
        return Expr("pow", (base, self._exponent()))

    def _degrees(self) -> Expr | None:
        start = self.place
        braced = self.peek().text == "{" and self.peek().kind == "sign"
        if braced:
            self.take()
        if self.peek().text == "circ":
            self.take()
            if braced:
                self.expect("}")
            return DEGREE
        self.place = start
        return None

    def _exponent(self) -> Expr:
        if self.peek().text == "-":
            self.take()
            return Expr("neg", (self._base(),))
        exponent = self._base()
        if self.peek().text in {"^", "**"} and exponent.op in {"number", "symbol"}:
            self.take()
            exponent = self._raised(exponent)
        return exponent

    def _base(self) -> Expr:
        self._nesting += 1
        if self._nesting > _MAX_NESTING:
            raise UnclearError
        base = self._unnested_base()
        self._nesting -= 1
        return base

    def _unnested_base(self) -> Expr:
        token = self.take()
        if token.kind == "number":
            return self._number(token)
        if token.kind == "letter":
            return self._symbol(token.text)
        if token.kind == "command":
            return self._command(token.text)
        if token.text == "(":
            return self._until(")")
        if token.text == "{":
            return self._until("}")
        if token.text == "|":
            return Expr("call", (self._until("|"),), name="abs")
        raise UnclearError

    def _number(self, token: Token) -> Expr:
        if self.peek().text == "overline" and "." in token.text:
            self.take()
            return number(Fraction(token.text) + self._period(len(token.text.split(".")[1])))
        if self.peek().text == "_":
            return self._in_base(token)
        return number(Fraction(token.text))

    def _period(self, places: int) -> Fraction:
        self.expect("{")
        digits = self.take().text
        self.expect("}")
        if not digits.isdigit():
            raise UnclearError
        return Fraction(int(digits), (10 ** len(digits) - 1) * 10**places)

    def _in_base(self, token: Token) -> Expr:
        self.take()
        base = self._base()
        if base.op != "number" or base.value not in range(2, 11):
            raise UnclearError
        try:
            return number(int(token.text, int(base.value)))
        except ValueError:
            raise UnclearError from None

    def _symbol(self, name: str) -> Expr:
        if self.peek().text == "(" and name in _CALLED_LETTERS:
            raise UnclearError
        while self.peek().text == "'":
            name += self.take().text
        if self.peek().text == "_":
            self.take()
            name += "_" + self._subscript()
        return Expr("symbol", name=name)

    def _subscript(self) -> str:
        token = self.take()
        if token.kind in {"number", "letter", "command"}:
            return token.text
        if token.text != "{":
            raise UnclearError
        words = []
        while (token := self.take()).text != "}":
            words.append(token.text)
        return "".join(words)

    def _command(self, name: str) -> Expr:
        if name == "frac":
            return Expr("div", (self._argument(), self._argument()))
        if name == "sqrt":
            index = self._index()
            return Expr("root", (self._argument(), index))
        if name == "binom":
            return Expr("call", (self._argument(), self._argument()), name="binom")
        if name in {"lfloor", "lceil"}:
            kind = "floor" if name == "lfloor" else "ceil"
            return Expr("call", (self._until("r" + name[1:]),), name=kind)
        if name in FUNCTIONS:
            return self._call(name)
        if name in GREEK:
            return self._symbol(_SYMBOL_OF.get(name, name))
        raise UnclearError

    def _index(self) -> Expr:
        if self.peek().text != "[":
            return number(2)
        self.take()
        return self._until("]")

    def _argument(self) -> Expr:
        r"""One group, or one character: `\frac12` is a half."""
        token = self.peek()
        if token.kind == "number" and len(token.text) > 1:
            if not token.text.isdigit():
                raise UnclearError
            self.tokens[self.place] = Token("number", token.text[1:], False)
            return number(int(token.text[0]))
        return self._base()

    def _call(self, name: str) -> Expr:
        power = None
        base = None
        if name == "log" and self.peek().text == "_":
            self.take()
            base = self._argument()
        if self.peek().text == "^":
            self.take()
            power = self._exponent()
        if power == Expr("neg", (number(1),)):
            if name not in _INVERSES:
                raise UnclearError
            name, power = _INVERSES[name], None
        call = Expr("call", (self._operand(), *([base] if base else ())), name=name)
        return Expr("pow", (call, power)) if power else call

    def _operand(self) -> Expr:
        r"""The operand of a function without brackets: `\sin 2x`, but of `\sin 2x\cos x` only `2x`."""
        if self.peek().text in {"(", "{", "|"}:
            braced = self.peek().text == "{"
            operand = self._base()
            if braced and self.peek().text in {"^", "!"}:
                raise _AmbiguousError
            return operand
        operand = self._signed_power()
        while self._starts_factor(self.peek()) and self.peek().text not in {*FUNCTIONS, "(", "|", "sqrt", "frac"}:
            operand = Expr("mul", (operand, self._power()))
        if self.peek().text in {"/", "(", "sqrt", "frac"}:
            raise _AmbiguousError
        return operand

    def _starts_factor(self, token: Token) -> bool:
        if token.kind in {"number", "letter"}:
            return True
        if token.kind == "command":
            return token.text in GREEK or token.text in FUNCTIONS or token.text in {
                "frac", "sqrt", "binom", "lfloor", "lceil",
            }  # fmt: skip
        return token.text in {"(", "{"} and token.kind == "sign"

    def _until(self, closing: str) -> Expr:
        inside = self.sum()
        self.expect(closing)
        return inside
