"""Names that settings models cannot have."""

import pytest
from pydantic import create_model

from certifuse.base.records import Settings, free_names, kept


@pytest.mark.parametrize("name", ["plain", "from_json", "copy", "model_dump"])
def test_a_key_that_hides_what_every_model_has_is_refused_where_the_model_is_made(name):
    problem = (
        f"Sizes: expected names that are free, found '{name}', which is used by every settings model: choose another"
    )
    with pytest.raises(ValueError, match=problem):
        create_model("Sizes", __base__=Settings, **{name: (int, 3)})


def test_methods_and_constants_of_a_model_are_no_keys():
    class Sizes(Settings):
        width: int = 3

        def plain(self):
            return {"of": "its own"}

    assert Sizes().plain() == {"of": "its own"}


def test_the_names_of_implementations_are_plain_identifiers_that_no_model_uses():
    assert free_names("fusion rule", {"mean": 1, "TransformerBase": 2}) == ("mean", "TransformerBase")
    with pytest.raises(ValueError, match=r"^fusion rule: expected names that are free, found 'plain', which is used"):
        free_names("fusion rule", {"mean": 1, "plain": 2})
    with pytest.raises(ValueError, match=r"found 'mean-of-all', which is no plain identifier: choose another$"):
        free_names("fusion rule", ["mean-of-all"])


class Doubled(Settings):
    number: int

    @kept
    def times(self, factor: int) -> list[int]:
        """A new list each time that it is worked out."""
        return [factor * self.number]


def test_a_kept_answer_is_one_per_argument_and_object() -> None:
    two = Doubled(number=2)
    assert two.times(3) is two.times(3)
    assert (two.times(3), two.times(4)) == ([6], [8])
    assert two.model_copy(update={"number": 5}).times(3) == [15]
    assert (two.plain(), two == Doubled(number=2)) == ({"number": 2}, True)
