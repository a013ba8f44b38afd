"""Feature maps, tokens and vectors brought to one form."""

import pytest
import torch

from kdrun.core.types import Output
from kdrun.loss.adapters import align, channel_adapter, embeddings_of, map_shape, to_maps


def test_tokens_go_back_to_their_square_in_reading_order():
    maps = torch.arange(2 * 3 * 4 * 4.0).view(2, 3, 4, 4)
    tokens = maps.flatten(2).transpose(1, 2)
    assert torch.equal(to_maps(tokens), maps)
    with_class = torch.cat([torch.full((2, 1, 3), -1.0), tokens], dim=1)
    assert torch.equal(to_maps(with_class), maps)


def test_tokens_of_no_square_become_a_row():
    assert to_maps(torch.zeros(2, 7, 5)).shape == (2, 5, 1, 7)


def test_vectors_become_one_pixel():
    assert to_maps(torch.zeros(2, 5)).shape == (2, 5, 1, 1)


@pytest.mark.parametrize("shape", [(2, 5), (2, 17, 5), (2, 16, 5), (2, 7, 5), (2, 5, 3, 4)])
def test_the_shape_is_known_without_computing(shape):
    assert map_shape(shape) == tuple(to_maps(torch.zeros(shape)).shape)


def test_maps_meet_at_the_smaller_size_and_keep_their_mean():
    student, teacher = torch.randn(2, 3, 8, 4), torch.randn(2, 5, 4, 8)
    student_maps, teacher_maps = align(student, teacher)
    assert student_maps.shape == (2, 3, 4, 4)
    assert teacher_maps.shape == (2, 5, 4, 4)
    torch.testing.assert_close(student_maps.mean((2, 3)), student.mean((2, 3)))
    torch.testing.assert_close(teacher_maps.mean((2, 3)), teacher.mean((2, 3)))


def test_half_precision_is_widened_and_the_teacher_has_no_graph():
    student = torch.randn(2, 3, 4, 4, dtype=torch.bfloat16, requires_grad=True)
    teacher = torch.randn(2, 3, 4, 4, dtype=torch.float16, requires_grad=True)
    student_maps, teacher_maps = align(student, teacher)
    assert student_maps.dtype == teacher_maps.dtype == torch.float32
    assert student_maps.requires_grad
    assert not teacher_maps.requires_grad


def test_an_adapter_changes_channels_alone():
    assert channel_adapter(3, 7)(torch.randn(2, 3, 5, 4)).shape == (2, 7, 5, 4)


def test_embeddings_are_means_over_pixels():
    maps = torch.randn(2, 3, 4, 4)
    output = Output(torch.zeros(2, 1), {"maps": maps, "vectors": torch.ones(2, 3)})
    torch.testing.assert_close(embeddings_of(output, "maps"), maps.mean((2, 3)))
    assert embeddings_of(output, "vectors").shape == (2, 3)
