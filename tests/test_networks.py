from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import interpolate

from tune_knee.config import NETWORKS
from tune_knee.networks import build_network
from tune_knee.networks.base import EncoderDecoder
from tune_knee.networks.blocks import scale_channels

# MMSegmentation 1.2.1: 1 and 3 input channels, then the parts with 1: backbone, heads.
PARAMETERS = {
    "fcn_unet": (29_059_784, 29_060_936, 28_948_416, 37_252, 74_116),
    "pspnet_r50c": (48_963_368, 48_963_944, 23_526_688, 23_075_844, 2_360_836),
    "deeplabv3plus_r50c": (43_577_752, 43_578_328, 23_526_688, 17_690_228, 2_360_836),
    "upernet_r50c": (66_403_112, 66_403_688, 23_526_688, 40_515_588, 2_360_836),
    "segformer_b2": (24_717_892, 24_724_164, 24_190_016, 527_876, 0),
}
STRIDES = {  # of the main and the auxiliary logits
    "fcn_unet": (1, 2),
    "pspnet_r50c": (8, 8),
    "deeplabv3plus_r50c": (4, 8),
    "upernet_r50c": (4, 16),
    "segformer_b2": (4, None),
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=NETWORKS)
def full(request: pytest.FixtureRequest) -> tuple[str, EncoderDecoder]:
    network = build_network(request.param)
    assert isinstance(network, EncoderDecoder)
    return request.param, network


def quarter(name: str, seed: int = 0) -> EncoderDecoder:
    torch.manual_seed(seed)
    network = build_network(name, width=0.25)
    assert isinstance(network, EncoderDecoder)
    return network


def parameters(module: nn.Module | None) -> int:
    return 0 if module is None else sum(p.numel() for p in module.parameters())


def images(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


def test_parameter_counts(full: tuple[str, EncoderDecoder]) -> None:
    name, network = full
    parts = (network.backbone, network.decode_head, network.auxiliary_head)
    counts = (parameters(network), parameters(build_network(name, in_channels=3)))
    assert (*counts, *map(parameters, parts)) == PARAMETERS[name]


def test_full_width_logits_at_64_px(full: tuple[str, EncoderDecoder]) -> None:
    name, network = full
    with torch.no_grad():
        main, auxiliary = network.eval().head_logits(images(1, 1, 64, 64))
    stride, auxiliary_stride = STRIDES[name]
    assert main.shape == (1, 4, 64 // stride, 64 // stride)
    if auxiliary_stride is None:
        assert auxiliary is None
    else:
        assert auxiliary is not None
        assert auxiliary.shape == (1, 4, 64 // auxiliary_stride, 64 // auxiliary_stride)


@pytest.mark.parametrize("name", NETWORKS)
def test_calling_resizes_the_main_logits_to_the_images(name: str) -> None:
    torch.manual_seed(0)
    network = build_network(name, regions=2, in_channels=3, width=0.25).eval()
    x = images(2, 3, 64, 96)
    with torch.no_grad():
        main, _ = network.head_logits(x)
        logits = network(x)
    expected = interpolate(main, size=(64, 96), mode="bilinear", align_corners=False)
    assert logits.shape == (2, 2, 64, 96)
    torch.testing.assert_close(logits, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_width_scales_the_parameters(name: str) -> None:
    counts = [parameters(build_network(name, width=width)) for width in (0.25, 0.5)]
    full_width = PARAMETERS[name][0]
    assert counts[0] < 0.07 * full_width  # about the square of the width
    assert 0.2 * full_width < counts[1] < 0.3 * full_width


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("width", [0.1, 0.7])
def test_uneven_widths_run(name: str, width: float) -> None:
    network = build_network(name, width=width).eval()
    with torch.no_grad():
        assert network(images(1, 1, 32, 32)).shape == (1, 4, 32, 32)


@given(st.integers(1, 300), st.floats(0.01, 4))
def test_scaled_channels_are_multiples_of_8_near_the_product(eights: int, width: float) -> None:
    scaled = scale_channels(8 * eights, width)
    assert scaled % 8 == 0
    assert scaled >= 8
    assert abs(scaled - 8 * eights * width) <= max(4, 8 - 8 * eights * width)
    assert scale_channels(8 * eights, 1.0) == 8 * eights


@pytest.mark.parametrize("name", NETWORKS)
def test_training_reaches_every_parameter(name: str) -> None:
    network = quarter(name).train()
    before = {key: value.clone() for key, value in network.named_parameters()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0)
    for _ in range(2):  # zero-initialised norms keep gradients from their branch in the first
        main, auxiliary = network.head_logits(images(2, 1, 64, 64))
        loss = main.square().mean()
        if auxiliary is not None:
            loss = loss + 0.4 * auxiliary.square().mean()
        optimizer.zero_grad()
        loss.backward()
        assert [key for key, p in network.named_parameters() if p.grad is None] == []
        optimizer.step()
    after = dict(network.named_parameters())
    assert [key for key, value in before.items() if torch.equal(value, after[key])] == []


@pytest.mark.parametrize("name", NETWORKS)
def test_a_seed_gives_one_network_and_one_gradient(name: str) -> None:
    def first_weights_and_gradient(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        network = quarter(name, seed).train()
        network(images(2, 1, 64, 64)).square().mean().backward()
        parameter = next(network.backbone.parameters())
        assert parameter.grad is not None
        return parameter.detach(), parameter.grad

    weights, gradient = first_weights_and_gradient(1)
    again, gradient_again = first_weights_and_gradient(1)
    other, _ = first_weights_and_gradient(2)
    assert torch.equal(weights, again)
    assert torch.equal(gradient, gradient_again)
    assert gradient.abs().sum() > 0
    assert not torch.equal(weights, other)


@pytest.mark.parametrize("name", NETWORKS)
def test_dropout_of_a_tenth_stands_before_every_classifier(name: str) -> None:
    network = quarter(name)
    heads = [network.decode_head, network.auxiliary_head]
    for head in (head for head in heads if head is not None):
        assert [m.p for m in head.modules() if isinstance(m, nn.Dropout2d)] == [0.1]
        seen: list[torch.Tensor] = []
        head.conv_seg.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))
        network.train().head_logits(images(8, 1, 64, 64))
        dropped = (seen[0] == 0).all(dim=(2, 3)).float().mean()
        assert 0.02 < dropped < 0.3


@pytest.mark.parametrize("name", ["pspnet_r50c", "deeplabv3plus_r50c", "upernet_r50c"])
def test_a_single_frame_cannot_train_pooled_networks(name: str) -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        quarter(name).train()(images(1, 1, 64, 64))


def test_fcn_unet_wants_multiples_of_16() -> None:
    network = quarter("fcn_unet").eval()
    with pytest.raises(ValueError, match="multiples of 16, got height=64, width=72"):
        network(images(1, 1, 64, 72))


def test_classifiers_start_small(full: tuple[str, EncoderDecoder]) -> None:
    _, network = full
    for head in (network.decode_head, network.auxiliary_head):
        if head is not None:
            assert head.conv_seg.weight.std().item() == pytest.approx(0.01, rel=0.15)
            assert torch.count_nonzero(head.conv_seg.bias) == 0


def test_head_convolutions_start_kaiming_normal_over_their_outputs() -> None:
    torch.manual_seed(0)
    head = build_network("pspnet_r50c").get_submodule("decode_head.bottleneck.conv")
    assert head.weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)


def test_residual_branches_start_at_zero() -> None:
    backbone = quarter("pspnet_r50c").backbone
    last_norms = [value for key, value in backbone.named_parameters() if key.endswith("bn3.weight")]
    assert len(last_norms) == 16
    assert all(torch.count_nonzero(norm) == 0 for norm in last_norms)


def test_mit_starts_as_mmsegmentation_does() -> None:
    torch.manual_seed(0)
    backbone = build_network("segformer_b2").get_submodule("backbone")
    block = backbone.get_submodule("stages_3.blocks.0")
    weights = {key: value for key, value in block.named_parameters() if value.ndim > 1}
    spreads = {key: value.std().item() for key, value in weights.items()}
    assert spreads == pytest.approx(
        {
            "attn.q.weight": (2 / (4 * 512)) ** 0.5,
            "attn.kv.weight": (2 / (4 * 512)) ** 0.5,
            "attn.proj.weight": 0.02,
            "mlp.fc1.weight": (2 / 2048) ** 0.5,
            "mlp.dwconv.weight": (2 / 9) ** 0.5,
            "mlp.fc2.weight": (2 / 512) ** 0.5,
        },
        rel=0.02,
    )
    assert {m.eps for m in backbone.modules() if isinstance(m, nn.LayerNorm)} == {1e-6}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "pspnet"}, "network must be one of fcn_unet, .*, got network=pspnet"),
        ({"name": "fcn_unet", "regions": 0}, "regions must be a positive number, got regions=0"),
        ({"name": "fcn_unet", "in_channels": -1}, "in_channels must be a positive number"),
        ({"name": "fcn_unet", "width": 0.0}, "width must be a positive number, got width=0.0"),
        ({"name": "fcn_unet", "width": float("nan")}, "width must be a positive number"),
        ({"name": "fcn_unet", "pretrained": True}, "fcn_unet: its U-Net has no ImageNet weights"),
        ({"name": "segformer_b2", "pretrained": True}, "timm has no ImageNet weights of MiT-B2"),
        (
            {"name": "pspnet_r50c", "pretrained": True, "width": 0.25},
            "width must be 1 with pretrained weights, got width=0.25",
        ),
        ({"name": "smp:unet"}, "smp:<architecture>:<encoder>, got network=smp:unet"),
        ({"name": "smp:net:resnet18"}, "one of unet, .*, got architecture=net"),
        ({"name": "smp:unet:resnet19"}, "one of resnet18, .*, got encoder=resnet19"),
        ({"name": "smp:unet:tu-resnet19"}, "got encoder=tu-resnet19"),
        ({"name": "smp:unet:resnet18", "width": 0.5}, "width must be 1 for smp: networks"),
        ({"name": "smp:unet:dpn68b", "pretrained": True}, "dpn68b must have ImageNet weights"),
    ],
)
def test_what_cannot_be_built(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_network(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["pspnet_r50c", "smp:unet:resnet18"])
def test_pretrained_weights_out_of_reach(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        ConnectionError, match=r"ImageNet weights of resnet(50c|18) must be fetched"
    ):
        build_network(name, pretrained=True)


@pytest.mark.parametrize("name", ["smp:unetplusplus:resnet18", "smp:fpn:tu-resnet18"])
def test_smp_networks(name: str) -> None:
    network = build_network(name, regions=3, in_channels=1)
    x = images(2, 1, 64, 64)
    main, auxiliary = network.train().head_logits(x)
    assert main.shape == (2, 3, 64, 64)
    assert auxiliary is None
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(network(x), network.head_logits(x)[0], rtol=0, atol=0)
