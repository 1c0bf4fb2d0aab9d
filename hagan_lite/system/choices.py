"""Fields of a frozen dataclass that carry their meaning, their limits and their source.

pydantic would check types and limits, too. It is not used because a machine that only trains, such
as a lent GPU, has torch, numpy, safetensors and tqdm, and nothing else (docs/gpu.md).
"""

import dataclasses
import math
from typing import Any, NamedTuple


class About(NamedTuple):
    """Say what a field means, where the paper has it ("open": nowhere), and what it may be."""

    meaning: str
    source: str
    one_of: tuple = ()  # the only values
    any_of: tuple[str, ...] = ()  # the only words of a text with commas
    low: float | None = None  # the limits of a number, both included
    high: float | None = None
    below: float | None = None  # a limit that is not included
    later: bool = False  # added after records were committed: see `recorded`

    @property
    def limits(self) -> str:
        """Return which values are allowed, in words; empty where the field's type says it all."""
        if self.one_of:
            return f"one of {', '.join(map(str, self.one_of))}"
        if self.any_of:
            return f"any of {', '.join(self.any_of)}, each once, with commas between; or empty"
        if self.high is not None:
            return f"in [{self.low}, {self.high}]"
        if self.below is not None:
            return f"in [{self.low}, {self.below})"
        return "" if self.low is None else f"at least {self.low}"

    def allows(self, value: Any) -> bool:
        """Return whether a field may have this value, which is of the field's type."""
        if self.one_of:
            return value in self.one_of
        if self.any_of:
            words = value.split(",") if value else []
            return set(words) <= set(self.any_of) and len(set(words)) == len(words)
        if self.low is None or value is None:
            return True
        high = math.inf if self.high is None else self.high
        below = math.inf if self.below is None else self.below
        return self.low <= value <= high and value < below


def choice(
    default: Any, meaning: str, source: str = "open", later: bool = False, **limits: Any
) -> Any:
    """Return a dataclass field with its default and all that there is to say about it.

    A field that is added after records were committed is `later`, and its default is what the code
    did before there was such a field: then those records and their hashes stay valid (`recorded`).
    `limits` are fields of About: `one_of`, `any_of`, or `low` with `high` or `below`.
    """
    about = About(meaning, source, later=later, **limits)
    return dataclasses.field(default=default, metadata={"about": about})


def about_of(field: dataclasses.Field) -> About:
    """Return what :func:`choice` noted about a field; a plain field has no limits."""
    return field.metadata.get("about", About("", "open"))


def field_names(kind: type) -> set[str]:
    """Return the names of all fields of a dataclass."""
    return {field.name for field in dataclasses.fields(kind)}


def recorded(instance: Any) -> dict[str, Any]:
    """Return the fields that a record holds: all but the `later` ones that have their defaults.

    So records and hashes are what they were before a `later` field was added.
    """
    held = {}
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if not (about_of(field).later and value == field.default):
            held[field.name] = value
    return held


def used_names(kind: type) -> set[str]:
    """Return the names of the fields that the model of an Experiment's class uses."""
    return field_names(kind) - set(kind.REFUSED)


def check_names(kind: type, fields: dict[str, Any]) -> None:
    """Raise ValueError where a file's `fields` are not those of an Experiment's class.

    A `later` field may be missing: it has its default.
    """
    names, given = field_names(kind), set(fields)
    later = {field.name for field in dataclasses.fields(kind) if about_of(field).later}
    wrong = [f"no field {name}" for name in sorted(given - names)]
    wrong += [f"a field {name}, which is missing" for name in sorted(names - given - later)]
    if wrong:
        raise ValueError(
            f"{fields['model']} has {', '.join(wrong)}: another version of hagan_lite wrote this. "
            "Use the commit that the file names. If you have just added the field, give it "
            "later=True (CONTRIBUTING.md, 'A choice'). Only a run of your own that you can do "
            "without may be deleted and run again"
        )


def check_values(instance: Any) -> None:
    """Raise ValueError, saying what is allowed, for a field of a wrong type or beyond its limits.

    An int for a float is made one: 1 and 1.0 are one value then, with one hash.
    """
    _check_types(instance)
    _check_limits(instance)


def _check_types(instance: Any) -> None:
    """Raise ValueError for a value that is not of the field's type, or a float but not finite."""
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if field.type is float and type(value) is int:
            try:
                object.__setattr__(instance, field.name, float(value))
            except OverflowError:
                raise ValueError(f"{field.name} has {len(str(value))} digits: too many") from None
            continue
        is_bool_for_number = type(value) is bool and field.type is not bool
        if is_bool_for_number or not isinstance(value, field.type):
            kind = getattr(field.type, "__name__", field.type)
            raise ValueError(f"{field.name}={value!r}: must be of type {kind}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{field.name}={value!r}: must be a finite number")


def _check_limits(instance: Any) -> None:
    """Raise ValueError, saying what is allowed, for a field beyond its limits."""
    for field in dataclasses.fields(instance):
        value, about = getattr(instance, field.name), about_of(field)
        if not about.allows(value):
            verb = "choose" if about.one_of or about.any_of else "must be"
            raise ValueError(f"{field.name}={value!r}: {verb} {about.limits}")
