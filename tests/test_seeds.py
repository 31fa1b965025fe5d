"""Every purpose has a stream of its own, the same wherever and whenever it is asked for."""

import itertools

import torch

from labelnoise.seeds import generator, stream


def test_streams_are_the_same_on_every_platform():
    assert stream(0, "noise") == 8369501531652801859
    assert stream(0, "init") == 1391976149099393129
    assert stream(7, "order", 3) == 8447054841603909260


def test_no_two_names_share_a_stream():
    purposes = ("noise", "init", "order", "split", "instance-noise")
    names = list(itertools.product(range(30), purposes, range(60)))
    streams = {stream(*name) for name in names}
    assert len(streams) == len(names)
    assert all(0 <= s < 2**63 for s in streams)


def test_drawing_from_a_stream_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first = torch.rand(5, generator=generator(1, "order", 2))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert torch.equal(torch.rand(5, generator=generator(1, "order", 2)), first)
