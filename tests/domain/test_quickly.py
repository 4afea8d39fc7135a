"""What is made quickly is what dataclasses would have made."""

from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import msgspec
import pytest

from pregao.domain.quickly import made_quickly


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow(Told):
    name: str
    note: str | None = None


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class Quick(Told):
    name: str
    note: str | None = None


class TestMadeQuickly:
    def test_holds_what_it_was_told_and_its_defaults(self):
        one = Quick(at=1, name="first")

        assert type(one) is Quick
        assert [getattr(one, told.name) for told in fields(Quick)] == [1, "first", None]
        assert repr(one) == repr(Slow(at=1, name="first")).replace("Slow", "Quick")

    def test_is_frozen_once_it_is_made(self):
        one = Quick(at=1, name="first")

        with pytest.raises(FrozenInstanceError):
            one.name = "second"  # type: ignore[misc]
        with pytest.raises(FrozenInstanceError):
            del one.name

    def test_equals_and_hashes_by_value(self):
        assert Quick(at=1, name="first") == Quick(at=1, name="first", note=None)
        assert len({Quick(at=1, name="first"), Quick(at=1, name="first"), Quick(at=2, name="first")}) == 2

    def test_is_replaced_and_goes_through_json_as_any_other(self):
        one = replace(Quick(at=1, name="first"), note="changed")

        assert one.note == "changed"
        assert msgspec.json.decode(msgspec.json.encode(one), type=Quick) == one

    def test_refuses_what_is_missing_unknown_or_not_named(self):
        for wrong in ({"at": 1}, {"at": 1, "name": "a", "other": 2}):
            with pytest.raises(TypeError):
                Quick(**wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            Quick(1, "first")  # type: ignore[misc]

    def test_takes_no_class_whose_fields_are_made(self):
        @dataclass(frozen=True, slots=True, kw_only=True)
        class Made:
            names: list[str] = field(default_factory=list)

        with pytest.raises(TypeError, match="Made"):
            made_quickly(Made)
