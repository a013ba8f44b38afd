"""Which place learns from which, on networks of any two shapes."""

import pytest
from given import bound, output, shapes, total

from kdrun.core.errors import UserError
from kdrun.loss.tap_pairs import describe_pairs, pair_taps, request_list, request_pairs

RESNET = [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
MOBILE = [(8, 32, 32), (12, 16, 16), (16, 8, 8), (48, 4, 4), (80, 4, 4)]
TOKENS = [(197, 768)] * 12


def places(*maps):
    return shapes({f"tap[{number}]": shape for number, shape in enumerate(maps)})


def pair_indices(student, teacher):
    pairs = pair_taps(places(*student), places(*teacher))
    number = [(int(p.student[4:-1]), int(p.teacher[4:-1])) for p in pairs]
    assert all(p.student_shape == (2, *student[s]) for p, (s, _) in zip(pairs, number, strict=True))
    assert all(p.teacher_shape == (2, *teacher[t]) for p, (_, t) in zip(pairs, number, strict=True))
    return number


@pytest.mark.parametrize("teacher", [RESNET, [(256, 8, 8), (512, 4, 4), (9, 1, 1)], TOKENS[:3]])
def test_as_many_places_are_paired_one_to_one(teacher):
    assert pair_indices(RESNET, teacher) == [(0, 0), (1, 1), (2, 2)]


def test_named_pairs_stay_pairs_where_they_cross():
    # Shapes come in the order of computing, whatever the order of the pairs.
    student = shapes({"tap0": (16, 8, 8), "tap1": (32, 4, 4)})
    teacher = shapes({"tap1": (16, 8, 8), "tap0": (32, 4, 4)})
    pairs = [(pair.student, pair.teacher) for pair in pair_taps(student, teacher)]
    assert pairs == [("tap0", "tap0"), ("tap1", "tap1")]


def test_more_places_are_thinned_out_to_those_of_the_nearest_size():
    assert pair_indices(RESNET, MOBILE) == [(0, 0), (1, 1), (2, 2)]
    assert pair_indices(MOBILE, RESNET) == [(0, 0), (1, 1), (2, 2)]


def test_among_places_of_one_size_depth_decides():
    four = [(24, 14, 14)] * 4
    assert pair_indices(four, TOKENS) == [(0, 2), (1, 5), (2, 8), (3, 11)]


def test_no_place_is_taken_twice_and_order_is_kept():
    small = [(8, 2, 2), (8, 2, 2), (8, 2, 2)]
    pairs = pair_indices(small, [(8, 32, 32), (8, 16, 16), (8, 2, 2), (8, 32, 32)])
    assert [s for s, _ in pairs] == [0, 1, 2]
    assert sorted({t for _, t in pairs}) == [t for _, t in pairs]


def test_the_pairing_is_told_with_paths_and_shapes():
    pairs = pair_taps(places((8, 4, 4)), places((16, 2, 2)))
    assert describe_pairs(pairs) == "pairs: tap[0] (8x4x4) from tap[0] (16x2x2)"


def test_pairs_that_are_given_are_asked_for_by_place():
    asked = request_pairs([("layer1", "layer2"), ("stages[-1]", "features.7")], auto="stages[*]")
    assert asked.student == {"tap0": "layer1", "tap1": "stages[-1]"}
    assert asked.teacher == {"tap0": "layer2", "tap1": "features.7"}
    assert request_pairs("auto", auto="embedding").student == {"tap": "embedding"}


@pytest.mark.parametrize("name", ["attention", "nst"])
@pytest.mark.parametrize("teacher", [(16, 1, 1), (16, 1, 4), (16,)])
def test_pairs_that_meet_in_one_pixel_are_left_out_where_pixels_are_compared(name, teacher):
    student_taps = {"tap[0]": (8, 4, 4), "tap[1]": (8, 4, 1)}
    teacher_taps = {"tap[0]": (16, 2, 2), "tap[1]": teacher}
    loss = bound(name, student_taps, teacher_taps)
    sizes = "x".join(map(str, teacher))
    assert loss.notes() == [
        "pairs: tap[0] (8x4x4) from tap[0] (16x2x2)",
        "left out, as their maps have a single pixel and this loss compares pixels:"
        f" tap[1] (8x4x1) from tap[1] ({sizes})",
    ]
    student = output(student_taps, 1)
    for tap in student.taps.values():
        tap.requires_grad_()
    total(loss, student, output(teacher_taps, 2)).backward()
    assert student.taps["tap[0]"].grad.abs().sum() > 0


@pytest.mark.parametrize("name", ["attention", "nst"])
def test_no_pair_with_more_pixels_than_one_is_refused(name):
    with pytest.raises(UserError) as error:
        bound(name, {"tap": (8,)}, {"tap": (16, 4, 4)})
    first, second = error.value.lines
    assert first.endswith("only one in common of tap (8) from tap (16x4x4).")
    assert "loss.pairs=" in second and "fitnet or cosine" in second


def test_what_is_no_map_is_refused():
    with pytest.raises(UserError, match=r"teacher's tap 'tap\[0\]' gives \(2, 3, 4, 5, 6\)"):
        pair_taps(places((8, 4, 4)), places((3, 4, 5, 6)))


def test_several_places_of_one_network_are_asked_for_by_role_or_by_path():
    assert request_list("auto", "stages[*]") == {"tap": "stages[*]"}
    assert request_list(["layer1", "stages[-1]"], "stages[*]") == {
        "tap0": "layer1",
        "tap1": "stages[-1]",
    }
