"""ImageNet weights: loaded where there are any, one line that says so, and no long wait where there are none."""

import socket
import time
from urllib.error import HTTPError, URLError

import pytest
import torch
from torch import nn
from torchvision.models import (
    AlexNet_Weights,
    MobileNet_V2_Weights,
    ResNet18_Weights,
    alexnet,
    mobilenet_v2,
    resnet18,
)

from gazecourse.errors import CourseError
from gazecourse.models import AlexNet, GazeNet
from gazecourse.models import pretrained as module
from gazecourse.models.alexnet import alexnet_features
from gazecourse.models.pretrained import load_imagenet, load_weights
from gazecourse.models.puregaze import resnet_features

FILES = {
    name: weights.DEFAULT.url.rsplit("/", 1)[-1]
    for name, weights in (
        ("alexnet", AlexNet_Weights),
        ("mobilenet_v2", MobileNet_V2_Weights),
        ("resnet18", ResNet18_Weights),
    )
}


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """torch.hub's folder for weights, empty, on a machine without a network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    refuse(monkeypatch, socket.gaierror(-3, "Temporary failure in name resolution"))
    monkeypatch.setattr(torch.hub, "urlopen", unexpected("a download"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    assert str(folder).startswith(torch.hub.get_dir())
    return folder


def unexpected(what):
    def called(*args, **kwargs):
        raise AssertionError(f"{what} was not expected")

    return called


def refuse(monkeypatch, error):
    """Let every connection fail with this error; returns the timeouts that were asked for."""
    timeouts = []

    def fail(address, timeout=None, *args, **kwargs):
        timeouts.append(timeout)
        raise error

    monkeypatch.setattr(socket, "create_connection", fail)
    return timeouts


def in_torchvisions_format(build):
    """torchvision's state with one number per tensor, 1, 2, 3 ..., in a file of kilobytes rather than megabytes."""
    with torch.device("meta"):
        shapes = {name: (t.shape, t.dtype) for name, t in build(weights=None).state_dict().items()}
    return {
        name: torch.tensor(number, dtype=dtype).expand(shape)
        for number, (name, (shape, dtype)) in enumerate(shapes.items(), start=1)
    }


def copied(model):
    return {name: t.clone() for name, t in model.state_dict().items()}


def same(state, other):
    return state.keys() == other.keys() and all(torch.equal(state[name], other[name]) for name in state)


# ---------------------------------------------------------------------- no network


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (socket.gaierror(-3, "Temporary failure in name resolution"), "no network"),
        (TimeoutError("timed out"), "no network"),
        (ConnectionRefusedError(111, "Connection refused"), "no network"),
        (OSError(101, "Network is unreachable"), "Network is unreachable"),
    ],
    ids=["no name server", "no answer", "refused", "unreachable"],
)
def test_without_a_network_one_line_says_random_and_why(error, reason, monkeypatch):
    timeouts = refuse(monkeypatch, error)
    model = alexnet_features("one_tower", width=0.1)
    before = copied(model)
    start = time.perf_counter()
    line = load_imagenet(model, "alexnet", only="features.")
    assert time.perf_counter() - start < 5
    assert line.startswith("random weights: ")
    assert reason in line
    assert "\n" not in line
    assert same(model.state_dict(), before), "the weights stay as they were"
    assert timeouts == [module.CONNECT_SECONDS]
    assert module.CONNECT_SECONDS < 5, "nobody waits for minutes"


def test_a_host_that_swallows_packets_costs_seconds_not_minutes(monkeypatch):
    """A server that never answers: the connection is given up after the time that it was given."""
    clock = []

    def silent(address, timeout=None, *args, **kwargs):
        assert timeout is not None, "without a timeout this waits for the system's, about two minutes"
        clock.append(timeout)
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", silent)
    load_imagenet(alexnet_features("one_tower", width=0.1), "alexnet", only="features.")
    assert sum(clock) < 5


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (URLError("connection reset"), "no network"),
        (
            HTTPError("https://host.example/a", 404, "Not Found", None, None),
            "host.example answered HTTP 404, Not Found",
        ),
        (OSError(28, "No space left"), "No space left"),
    ],
    ids=["cut off", "not found", "disk full"],
)
def test_a_download_that_fails_leaves_random_weights_and_says_so(error, reason, monkeypatch, hub):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(module, "_require_network", lambda url: None)
    monkeypatch.setattr(torch.hub, "urlopen", fail)
    model = alexnet_features("one_tower", width=0.1)
    before = copied(model)
    line = load_imagenet(model, "alexnet", only="features.")
    assert line.startswith("random weights: ")
    assert reason in line
    assert same(model.state_dict(), before)
    assert list(hub.iterdir()) == [], "nothing half-finished is left to be taken for weights"


def test_behind_a_proxy_the_weights_are_downloaded(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    downloads(monkeypatch, in_torchvisions_format(alexnet))
    assert load_imagenet(alexnet_features("one_tower"), "alexnet", only="features.").startswith("ImageNet weights")


# ---------------------------------------------------------------------- weights on disk


def downloads(monkeypatch, state):
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda url, file, *args, **kwargs: torch.save(state, file))


def test_the_whole_alexnet_is_loaded_from_disk_without_a_network(hub, monkeypatch):
    state = in_torchvisions_format(alexnet)
    torch.save(state, hub / FILES["alexnet"])
    monkeypatch.setattr(socket, "create_connection", unexpected("a connection"))
    model = AlexNet(form="one_tower")
    line = load_imagenet(model, "alexnet")
    assert line == f"ImageNet weights (torchvision, {FILES['alexnet']})"
    loaded = model.state_dict()
    assert loaded.keys() == state.keys()
    assert all(bool((loaded[name] == number).all()) for number, name in enumerate(state, start=1))


def test_only_takes_what_is_below_a_prefix(hub):
    state = in_torchvisions_format(alexnet)
    torch.save(state, hub / FILES["alexnet"])
    features = alexnet_features("one_tower")
    assert load_imagenet(features, "alexnet", only="features.").startswith("ImageNet weights")
    for name, values in features.state_dict().items():
        assert torch.equal(values, state[f"features.{name}"]), name


def test_buffers_of_batch_norm_are_loaded_too(hub):
    state = in_torchvisions_format(mobilenet_v2)
    torch.save(state, hub / FILES["mobilenet_v2"])
    model = mobilenet_v2(weights=None)
    assert load_imagenet(model, "mobilenet_v2").startswith("ImageNet weights")
    assert same(model.state_dict(), state)
    assert any(name.endswith("running_var") for name in state)


def test_a_download_is_loaded_and_kept(hub, monkeypatch):
    monkeypatch.setattr(module, "_require_network", lambda url: None)
    state = in_torchvisions_format(alexnet)
    downloads(monkeypatch, state)
    model = alexnet_features("one_tower")
    assert load_imagenet(model, "alexnet", only="features.").startswith("ImageNet weights")
    assert torch.equal(model[0].weight, state["features.0.weight"])
    assert [path.name for path in hub.iterdir()] == [FILES["alexnet"]]


def test_gazenet_takes_the_mobilenet_weights_that_it_has_a_place_for(hub):
    state = in_torchvisions_format(mobilenet_v2)
    torch.save(state, hub / FILES["mobilenet_v2"])
    model = GazeNet()
    assert load_imagenet(model.features, "mobilenet_v2", only="features.").startswith("ImageNet weights")
    assert all(torch.equal(values, state[f"features.{name}"]) for name, values in model.features.state_dict().items())


def test_a_resnet_without_its_classifier_takes_all_the_other_weights(hub):
    state = in_torchvisions_format(resnet18)
    torch.save(state, hub / FILES["resnet18"])
    features = resnet_features(18)
    assert load_imagenet(features, "resnet18", without="fc.").startswith("ImageNet weights")
    assert same(features.state_dict(), {name: t for name, t in state.items() if not name.startswith("fc.")})
    with pytest.raises(ValueError, match=r"fc\.bias"):
        load_imagenet(features, "resnet18")


def test_a_damaged_file_is_named(hub):
    path = hub / FILES["alexnet"]
    torch.save(in_torchvisions_format(alexnet), path)
    path.write_bytes(path.read_bytes()[:-500])
    try:
        said = load_imagenet(alexnet_features("one_tower"), "alexnet", only="features.")
        assert said.startswith("random weights")
    except Exception as error:
        said = str(error)
    assert FILES["alexnet"] in said


def test_a_download_that_arrives_damaged_is_named_at_once(hub, monkeypatch):
    monkeypatch.setattr(module, "_require_network", lambda url: None)
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda url, file, *args, **kwargs: cut_off(file))
    with pytest.raises(CourseError, match=FILES["alexnet"]):
        load_imagenet(alexnet_features("one_tower"), "alexnet", only="features.")


def cut_off(path):
    torch.save(in_torchvisions_format(alexnet), path)
    with open(path, "r+b") as file:
        file.truncate(1000)


# ---------------------------------------------------------------------- weights that do not fit


def test_weights_of_another_architecture_are_refused_with_the_first_misfit_and_nothing_is_loaded(hub):
    torch.save(in_torchvisions_format(alexnet), hub / FILES["alexnet"])
    two_tower = alexnet_features("two_tower")
    before = copied(two_tower)
    message = (
        r"state must be the weights of this Sequential; it has 0\.weight with shape \[64, 3, 11, 11\] where the "
        r"network has \[96, 3, 11, 11\] \(and \d+ more like it\)\. They belong to another architecture"
    )
    with pytest.raises(ValueError, match=message):
        load_imagenet(two_tower, "alexnet", only="features.")
    assert same(two_tower.state_dict(), before)


def pair():
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))


@pytest.mark.parametrize("state", [None, [torch.zeros(3)], "weights.pth"])
def test_what_is_no_state_dict_is_refused(state):
    with pytest.raises(TypeError, match="state must be a state_dict, weights by name; got"):
        load_weights(pair(), state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("1.bias"), r"it has no 1\.bias\. They belong to another architecture"),
        (lambda s: (s.pop("1.bias"), s.pop("0.bias")), r"it has no 0\.bias \(and 1 more like it\)\."),
        (lambda s: s.update({"2.weight": torch.zeros(1)}), r"it has 2\.weight, which the network lacks\."),
        (
            lambda s: s.update({"1.weight": torch.zeros(4, 2)}),
            r"it has 1\.weight with shape \[4, 2\] where the network has \[4, 3\]\.",
        ),
    ],
    ids=["missing", "two missing", "unknown", "another shape"],
)
def test_the_first_misfit_is_named_and_nothing_is_loaded(change, message):
    model, state = pair(), pair().state_dict()
    change(state)
    before = copied(model)
    with pytest.raises(ValueError, match=r"^state must be the weights of this Sequential; " + message):
        load_weights(model, state)
    assert same(model.state_dict(), before)


def test_weights_that_fit_are_loaded():
    model, other = pair(), pair()
    load_weights(model, other.state_dict())
    assert same(model.state_dict(), other.state_dict())


def test_an_unknown_network_is_named():
    with pytest.raises(ValueError, match="alexnext"):
        load_imagenet(pair(), "alexnext")
