"""Messages about unknown names suggest the nearest, or list the first of those that there are."""

from kdrun.core.unknown import suggest, unknown_key_of, unknown_name

MANY = [f"model_{number}" for number in range(20)]


def test_an_unknown_name_is_answered_with_the_nearest_and_the_command_that_lists_all() -> None:
    error = unknown_name("model", "resent50", ["resnet50", "mlp"], "kdrun list models")
    assert error.lines == (
        "no model is called 'resent50'.",
        "  nearest: resnet50        all: kdrun list models",
    )


def test_where_no_name_is_near_the_first_twelve_are_listed() -> None:
    assert suggest("zzz", ["kd", "mse"]) == "available: kd, mse"
    assert suggest("zzz", MANY) == f"available: {', '.join(MANY[:12])}, ..."
    assert suggest("zzz", MANY, "see the docs") == "see the docs"
    assert suggest("zzz", []) == "available: none"


def test_an_unknown_key_is_answered_with_the_nearest_or_all_keys() -> None:
    message = unknown_key_of("'kd'", "temprature", ["temperature", "alpha"])
    assert message == "unknown key of 'kd'; nearest: temperature"
    message = unknown_key_of("'ce'", "zzz", [])
    assert message == "unknown key of 'ce'; its keys: none"
