"""ODSQL conditions compiled to SQL that is true or false, never null.

The operands of a comparison are expressions, and no part of it.
"""

from __future__ import annotations

import re

from ods_pipeline.emulator.datasets.dataset import Column
from ods_pipeline.emulator.explore.odsql import times
from ods_pipeline.emulator.explore.odsql.expressions import Expressions
from ods_pipeline.emulator.explore.odsql.predicates import NAMES, predicate, words
from ods_pipeline.emulator.explore.odsql.scanner import OdsqlSyntaxError
from ods_pipeline.emulator.explore.odsql.scope import NUMBERS, TIMES
from ods_pipeline.emulator.http.errors import incompatible_types

OPERATORS = ("!=", ">=", "<=", "=", ">", "<", ":")


class Conditions(Expressions):
    """Reads a where clause. NOT of a comparison with null is true: comparisons are coalesced."""

    def condition(self) -> str:
        """A condition: alternatives joined by OR."""
        parts = [self._all()]
        while self.scanner.word("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"

    def _all(self) -> str:
        parts = [self._not()]
        while self.scanner.word("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else f"({' AND '.join(parts)})"

    def _not(self) -> str:
        return f"(NOT {self._not()})" if self.scanner.word("not") else self._primary()

    def _primary(self) -> str:
        start, problem = self.scanner.position, self.scanner.problem
        if self.scanner.symbol("("):
            try:
                inner = self.condition()
                self.scanner.require_symbol(")")
                if not self._continues():
                    return f"({inner})"
            except OdsqlSyntaxError:
                pass
            # The parenthesis belonged to an arithmetic operand.
            self.scanner.position, self.scanner.problem = start, problem
        name = self.scanner.word(*NAMES)
        if name and self.scanner.symbol("("):
            return predicate(name, self)
        self.scanner.position = start
        return self._comparison()

    def _continues(self) -> bool:
        rest = self.scanner.text[self.scanner.position :]
        return bool(re.match(r"[-+*/=<>!:]|is\b|in\b|like\b", rest, re.I))

    def _comparison(self) -> str:
        left = self.expression()
        if self.scanner.word("is"):
            return self._is(left)
        if self.scanner.word("like"):
            return self._like(left)
        negated = self.scanner.word("not")
        if self.scanner.word("in"):
            found = self._in(left)
            return f"(NOT {found})" if negated else found
        if negated:
            raise OdsqlSyntaxError
        operator = self.scanner.symbol(*OPERATORS)
        if operator:
            return self.compared(left, "=" if operator == ":" else operator, self.expression())
        return self._alone(left)

    def _alone(self, operand: Column) -> str:
        if operand.type == "text" and operand.label == "literal":
            return words(self.visible(), operand.name)
        if operand.type not in ("boolean", "unknown"):
            self.scanner.record_error(f"Field {operand.name} is not a boolean field.")
            return "false"
        return f"coalesce({operand.sql}, false)"

    def _is(self, left: Column) -> str:
        negated = "NOT " if self.scanner.word("not") else ""
        word = self.scanner.word("null", "true", "false")
        if word is None:
            raise OdsqlSyntaxError
        if word == "null":
            return f"({left.sql} IS {negated}NULL)"
        if left.type not in ("boolean", "unknown"):
            self.scanner.record_error(f"Field {left.name} is not a boolean field.")
        return f"({negated}coalesce({left.sql} = {word}, false))"

    def _like(self, left: Column) -> str:
        text = self.scanner.string()
        if text is None:
            raise OdsqlSyntaxError
        if left.type not in ("text", "unknown"):
            self.scanner.record_api_error(
                incompatible_types(left.type, "text", self.scanner.clause)
            )
            return "false"
        sql = f"array_to_string({left.sql}, ' ')" if left.multivalued else left.sql
        return words(sql, text)

    def _in(self, left: Column) -> str:
        opening = self.scanner.symbol("(", "[", "]")
        if opening == "(":
            choices = [self._choice(left)]
            while self.scanner.symbol(","):
                choices.append(self._choice(left))
            self.scanner.require_symbol(")")
            return f"({' OR '.join(choices)})"
        if opening:
            return self._range(left, opening)
        return self.compared(self.field(), "=", left)

    def _choice(self, left: Column) -> str:
        choice = self.literal()
        if choice is None:
            raise OdsqlSyntaxError
        return self.compared(left, "=", choice)

    def _range(self, left: Column, opening: str) -> str:
        low = self.literal()
        if low is None or not (self.scanner.symbol("..") or self.scanner.word("to")):
            raise OdsqlSyntaxError
        high = self.literal()
        closing = self.scanner.symbol("]", "[")
        if high is None or not closing:
            raise OdsqlSyntaxError
        above = self.compared(left, ">=" if opening == "[" else ">", low)
        below = self.compared(left, "<=" if closing == "]" else "<", high)
        return f"({above} AND {below})"

    def compared(self, left: Column, operator: str, right: Column) -> str:
        """SQL for a comparison of two operands whose types must agree."""
        if left.multivalued and right.type == "text" and operator in ("=", "!="):
            found = f"coalesce(list_contains({left.sql}, {right.sql}), false)"
            return found if operator == "=" else f"(NOT {found})"
        if left.label == "literal" and right.label != "literal":
            flipped = operator.translate(str.maketrans("<>", "><"))
            return self.compared(right, flipped, left)
        if left.type in TIMES and (moment := self._moment(right)):
            return f"coalesce({left.sql} {operator} {moment}, false)"
        if not self._comparable(left, operator, right):
            problem = incompatible_types(left.type, right.type, self.scanner.clause)
            self.scanner.record_api_error(problem)
        sql = "<>" if operator == "!=" else operator
        return f"coalesce({left.sql} {sql} {right.sql}, false)"

    def _moment(self, right: Column) -> str | None:
        """A bare year or a quoted date compares with dates, as on real portals."""
        if right.type in TIMES:
            return right.sql
        if right.label != "literal" or right.type not in ("int", "text"):
            return None
        moment = times.parse_date(right.name, self.scope.timezone)
        return times.timestamp_sql(moment) if moment else None

    def _comparable(self, left: Column, operator: str, right: Column) -> bool:
        kinds = {left.type, right.type}
        if "unknown" in kinds or kinds <= set(NUMBERS):
            return True
        if left.multivalued or right.multivalued:
            return False
        return (kinds <= {"text"} and operator in ("=", "!=")) or kinds == {"boolean"}
