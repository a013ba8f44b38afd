"""Messages about unknown names suggest the nearest, or list those that there are."""

from kdrun.core.unknown import suggest, unknown_key_of, unknown_name

MANY = [f"model_{number}" for number in range(20)]


def test_an_unknown_name_is_answered_with_the_nearest_and_the_command_that_lists_all() -> None:
    error = unknown_name("model", "resent50", ["resnet50", "mlp"], "kdrun list models")
    assert error.lines == (
        "no model is called 'resent50'.",
        "  nearest: resnet50        all: kdrun list models",
    )


def test_where_no_name_is_near_all_are_listed_or_a_command_lists_them() -> None:
    assert suggest("zzz", ["kd", "mse"]) == "available: kd, mse"
    assert suggest("zzz", MANY) == f"available: {', '.join(MANY)}"
    cut = f"  available: {', '.join(MANY[:12])}, ...        all: kdrun list models"
    assert unknown_name("model", "zzz", MANY, "kdrun list models").lines[1] == cut
    assert suggest("zzz", MANY, "see the docs") == "see the docs"
    assert suggest("zzz", []) == "available: none"


def test_an_unknown_key_is_answered_with_the_nearest_or_all_keys() -> None:
    message = unknown_key_of("'kd'", "temprature", ["temperature", "alpha"])
    assert message == "unknown key of 'kd'; nearest: temperature"
    assert unknown_key_of("'kd'", "zzz", MANY).endswith(f"; its keys: {', '.join(MANY)}")
    message = unknown_key_of("'ce'", "zzz", [])
    assert message == "unknown key of 'ce'; its keys: none"
