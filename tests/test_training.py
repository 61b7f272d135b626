"""The loop does what it says: exact resume, honest accumulation, clean ends, no NaN that goes unnoticed."""

import itertools
import os
import resource
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from gazecourse import logbook
from gazecourse.batches import Batches, fetch, seed_all
from gazecourse.checkpoint import load_checkpoint, save_checkpoint
from gazecourse.errors import CourseError
from gazecourse.history import History
from gazecourse.sample import Sample
from gazecourse.training import OneCycle, Settings, StepDecay, make_fabric, predict, train

SETTINGS = Settings(epochs=3, batch_size=8, seed=5)


class Faces(Dataset):
    """Noise whose brightness is the gaze: something a tiny network learns in seconds."""

    def __init__(self, count=40, augment=False):
        generator = torch.Generator().manual_seed(0)
        self.gaze = torch.rand(count, 2, generator=generator) - 0.5
        noise = torch.rand(count, 3, 8, 8, generator=generator) * 60
        level = (self.gaze + 0.5) * 180
        noise[:, :2] += level[:, :, None, None]
        self.images = noise.to(torch.uint8)
        self.augment = augment

    def __len__(self):
        return len(self.images)

    def __getitems__(self, indices):
        images = self.images[indices]
        if self.augment:
            images = images + torch.randint(0, 10, images.shape, dtype=torch.uint8)
        return Sample(image=images, gaze=self.gaze[indices], person=torch.tensor(indices))


def network(dropout=0.3):
    seed_all(1)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(dropout), nn.Linear(144, 2)
    )


def l1(model, batch):
    return {"loss": (model(batch.float_image()) - batch.gaze).abs().mean()}


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)


def run(folder=None, *, data=None, settings=SETTINGS, losses=l1, model=None, fabric=None, **options):
    model, fabric = model or network(), fabric or make_fabric(accelerator="cpu")
    history = train(model, losses, data or Faces(), adam(model), settings, folder=folder, fabric=fabric, **options)
    return model, history


def facts(history):
    """Records without what depends on the clock."""
    timed = ("seconds", "images_per_second")
    return [{k: v for k, v in r.items() if k not in timed} for r in history.records if r["kind"] != "end"]


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


class StopAfter:
    """An observer that presses Stop after some steps and notes what it was shown."""

    def __init__(self, step=None):
        self.step, self.seen, self.stop_requested = step, [], False

    def begin(self, history, progress):
        self.history = history

    def update(self, progress):
        self.seen.append((progress.step, progress.images_per_second, progress.seconds_left))
        self.stop_requested = progress.step == self.step

    def end(self, progress):
        self.status = progress.status


# ---- learning


def test_training_lowers_the_error_on_the_task():
    data = Faces()
    before = (predict(network(), data, lambda m, b: m(b.float_image())) - data.gaze).abs().mean()
    model, history = run(data=data, settings=Settings(epochs=20, batch_size=8))
    after = (predict(model, data, lambda m, b: m(b.float_image())) - data.gaze).abs().mean()
    assert history.status == "finished"
    assert not model.training
    assert after < 0.4 * before


def test_same_seed_gives_the_same_run_and_another_seed_another():
    (a, first), (b, second) = run(), run()
    assert facts(first) == facts(second)
    assert same_weights(a, b)
    _, other = run(settings=Settings(epochs=3, batch_size=8, seed=6))
    assert facts(first) != facts(other)


def test_random_numbers_drawn_between_steps_do_not_change_the_run():
    def noisy_evaluation(model):
        torch.rand(17)
        return {"error": 1.0}

    assert same_weights(run()[0], run(evaluate=noisy_evaluation)[0])


def test_number_of_workers_does_not_change_augmented_training():
    data = Faces(augment=True)
    _, alone = run(data=data)
    _, helped = run(data=data, settings=Settings(epochs=3, batch_size=8, seed=5, workers=2))
    plain = run(data=Faces())[1]
    losses = [record["loss"] for record in facts(alone)]
    assert losses == [record["loss"] for record in facts(helped)]
    assert losses != [record["loss"] for record in facts(plain)]


def test_accumulated_micro_batches_give_the_gradient_of_the_whole_batch():
    def model():
        seed_all(2)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 2))

    whole, one = run(model=model())
    parts, four = run(model=model(), settings=Settings(epochs=3, batch_size=8, seed=5, accumulate=4))
    torch.testing.assert_close(whole[1].weight, parts[1].weight, rtol=1e-5, atol=1e-6)
    losses = [[record["loss"] for record in facts(history)] for history in (one, four)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_learning_rate_follows_the_schedule_and_is_recorded():
    _, history = run()
    rates = [record["learning_rate"] for record in history.of_kind("train")]
    assert rates == [1e-2 * OneCycle()(step / 15) for step in range(15)]


def test_one_cycle_warms_up_to_the_peak_and_ends_at_zero():
    schedule = OneCycle(warmup=0.25)
    values = [schedule(k / 100) for k in range(101)]
    assert values[0] == pytest.approx(0.04)
    assert max(values) == values[25] == 1.0
    assert values[100] == pytest.approx(0)
    assert values[:26] == sorted(values[:26])
    assert values[25:] == sorted(values[25:], reverse=True)
    with pytest.raises(ValueError, match="warmup must lie between 0 and 1"):
        OneCycle(warmup=1.0)


def test_step_decay_drops_at_its_milestones():
    schedule = StepDecay(at=(0.5, 0.75), factor=0.1)
    assert [schedule(p) for p in (0, 0.49, 0.5, 0.75)] == pytest.approx([1, 1, 0.1, 0.01])


def test_adversaries_get_their_own_gradients_from_one_forward_pass():
    class Opponents(nn.Module):
        def __init__(self):
            super().__init__()
            seed_all(3)
            self.encoder, self.head, self.decoder = nn.Linear(192, 8), nn.Linear(8, 2), nn.Linear(8, 192)

        def forward(self, image):
            code = self.encoder(image.flatten(1))
            return self.head(code), self.decoder(code)

    def losses(model, batch):
        gaze, copy = model(batch.float_image())
        reconstruction = (copy - batch.float_image().flatten(1)).square().mean()
        return {"loss": (gaze - batch.gaze).abs().mean() - reconstruction, "reconstruction": reconstruction}

    def routed(fabric, model, losses):
        gaze_side = [*model.encoder.parameters(), *model.head.parameters()]
        fabric.backward(losses["loss"], inputs=gaze_side, retain_graph=True)
        fabric.backward(losses["reconstruction"], inputs=list(model.decoder.parameters()))

    def by_hand(model, batch):
        terms = losses(model, batch)
        gaze_side = [*model.encoder.parameters(), *model.head.parameters()]
        decoder = list(model.decoder.parameters())
        expected = dict(zip(gaze_side, torch.autograd.grad(terms["loss"], gaze_side, retain_graph=True), strict=True))
        expected |= dict(zip(decoder, torch.autograd.grad(terms["reconstruction"], decoder), strict=True))
        return expected

    model, twin, data = Opponents(), Opponents(), Faces()
    parts = [[m.encoder, m.head, m.decoder] for m in (model, twin)]
    optimizers = [torch.optim.SGD(part.parameters(), lr=0.1) for part in parts[0]]
    settings = Settings(epochs=1, batch_size=40)
    fabric = make_fabric(accelerator="cpu")
    history = train(model, losses, data, optimizers, settings, schedule=StepDecay(), backward=routed, fabric=fabric)
    gradients = by_hand(twin, fetch(data, Batches(data, 40, seed=0).indices(0).flatten().tolist()))
    for trained, start in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(trained, start - 0.1 * gradients[start])
    assert history.names("train")[:2] == ["loss", "reconstruction"]


# ---- resume


@pytest.mark.parametrize("stop_at", [5, 7, 14])
def test_resumed_run_repeats_the_run_without_a_stop(tmp_path, stop_at, monkeypatch):
    clock = itertools.count(step=0.01).__next__  # a real one may not tick between two quick steps
    monkeypatch.setattr(logbook, "time", SimpleNamespace(perf_counter=clock))
    evaluate = {"evaluate": lambda model: {"norm": model[0].weight.norm()}}
    settings = Settings(epochs=3, batch_size=8, seed=5, accumulate=2)
    data = Faces(augment=True)
    whole, expected = run(tmp_path / "whole", data=data, settings=settings, **evaluate)
    observer = StopAfter(stop_at)
    _, stopped = run(tmp_path / "cut", data=data, settings=settings, observer=observer, **evaluate)
    assert stopped.status == observer.status == "stopped"
    assert stopped.records[-1]["step"] == stop_at
    model, resumed = run(tmp_path / "cut", data=data, settings=settings, resume=True, model=network(), **evaluate)
    assert facts(resumed) == facts(expected) == facts(History.load(tmp_path / "cut" / "history.jsonl"))
    assert same_weights(model, whole)
    assert resumed.status == "finished"
    assert resumed.records[-1]["seconds"] > stopped.records[-1]["seconds"]


def test_steps_after_the_last_checkpoint_are_done_again_after_a_crash(tmp_path):
    def crash_in_step_14(model, batch):
        crash_in_step_14.calls += 1
        if crash_in_step_14.calls == 15:
            raise RuntimeError("power cut")
        return l1(model, batch)

    crash_in_step_14.calls = 0
    settings = Settings(epochs=3, batch_size=8, seed=5, save_every=4)
    with pytest.raises(RuntimeError, match="power cut"):
        run(tmp_path, settings=settings, losses=crash_in_step_14)
    file = tmp_path / "history.jsonl"
    assert History.load(file).status == "failed"
    assert History.load(file).curve("loss")[0].max() == 14
    assert load_checkpoint(tmp_path / "checkpoint.safetensors", network())["step"] == 12
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.warns(UserWarning, match="half-written"):
        _, resumed = run(tmp_path, settings=settings, resume=True)
    assert facts(resumed) == facts(run(settings=settings)[1])


def test_loss_scale_goes_on_where_it_was(tmp_path):
    from lightning_fabric import Fabric
    from lightning_fabric.plugins import MixedPrecision

    def scaled():
        scaler = torch.amp.GradScaler("cpu", init_scale=16.0, growth_interval=3)
        return scaler, Fabric(accelerator="cpu", devices=1, plugins=MixedPrecision("16-mixed", "cpu", scaler))

    def linear():
        seed_all(2)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 2))

    scaler, fabric = scaled()
    run(model=linear(), fabric=fabric)
    run(tmp_path, model=linear(), fabric=scaled()[1], observer=StopAfter(7))
    resumed, fabric = scaled()
    run(tmp_path, model=linear(), fabric=fabric, resume=True)
    assert scaler.get_scale() == resumed.get_scale() == 16 * 2**5


def test_mixed_precision_computes_the_model_in_bfloat16_and_the_loss_in_float32():
    seen = []

    def losses(model, batch):
        output = model(batch.float_image())
        seen.append(output.dtype)
        return {"loss": (output - batch.gaze).abs().mean()}

    model = network()
    model[5].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    _, history = run(model=model, losses=losses, fabric=make_fabric(accelerator="cpu", precision="bf16-mixed"))
    assert seen[:2] == [torch.bfloat16, torch.float32]
    assert history.metadata["precision"] == "bf16-mixed"
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_finished_run_is_not_trained_again_but_its_weights_come_back(tmp_path):
    trained, first = run(tmp_path)

    def never(model, batch):
        raise AssertionError("trained again")

    model, again = run(tmp_path, losses=never, resume=True)
    assert same_weights(model, trained)
    assert facts(first) == facts(again)


def test_resume_with_other_settings_is_refused_and_says_which(tmp_path):
    run(tmp_path, observer=StopAfter(4))
    with pytest.raises(CourseError, match=r"other settings \(epochs: 3 then, 4 now; seed: 5 then, 6 now\)"):
        run(tmp_path, settings=Settings(epochs=4, batch_size=8, seed=6), resume=True)


def test_new_run_in_the_same_folder_is_never_resumed_from_the_old_checkpoint(tmp_path):
    run(tmp_path)

    def broken(model, batch):
        raise RuntimeError("first step")

    with pytest.raises(RuntimeError, match="first step"):
        run(tmp_path, losses=broken)
    _, resumed = run(tmp_path, resume=True, observer=StopAfter(1))
    assert resumed.records[-1]["step"] == 1


# ---- ends


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_non_finite_loss_stops_with_step_batch_and_last_good_checkpoint(tmp_path, bad):
    def losses(model, batch):
        terms = l1(model, batch)
        losses.calls += 1
        return {"loss": terms["loss"], "side": terms["loss"] * (bad if losses.calls == 8 else 1)}

    losses.calls = 0
    first = Batches(Faces(), 8, epochs=3, seed=5).indices(7).flatten()[0].item()
    model = network()
    with pytest.raises(FloatingPointError, match=rf"step 7 \(epoch 2\): side = {bad}.*samples {first}, .*step 5"):
        run(tmp_path, losses=losses, model=model)
    assert all(value.isfinite().all() for value in model.state_dict().values())
    kept = network()
    assert load_checkpoint(tmp_path / "checkpoint.safetensors", kept)["step"] == 5
    assert History.load(tmp_path / "history.jsonl").status == "failed"


def test_spoiled_weights_are_named_as_the_cause_and_never_saved(tmp_path):
    def losses(model, batch):
        loss = l1(model, batch)["loss"]
        return {"loss": loss + (model.module[5].weight * 0).sum().sqrt()}  # finite, with an infinite gradient

    with pytest.raises(FloatingPointError, match=r"weights 0\.weight|weights 5\.weight"):
        run(tmp_path, losses=losses)
    with pytest.raises(FloatingPointError, match=r"model\.\d\.weight holds NaN or infinity"):
        run(tmp_path, losses=losses, settings=Settings(epochs=3, batch_size=8, save_every=1))
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_error_of_a_step_names_its_batch_and_the_checkpoint(tmp_path):
    def losses(model, batch):
        losses.calls += 1
        if losses.calls == 8:
            raise RuntimeError("shapes do not match")
        return l1(model, batch)

    losses.calls = 0
    first = Batches(Faces(), 8, epochs=3, seed=5).indices(7).flatten()[0].item()
    with pytest.raises(RuntimeError, match="shapes do not match") as caught:
        run(tmp_path, losses=losses)
    (note,) = caught.value.__notes__
    assert note.startswith(f"This ended the run at step 7. The batch holds the samples {first}, ")
    assert note.endswith("Last good checkpoint: that of step 5.")


def test_error_of_an_evaluation_blames_no_batch(tmp_path):
    def evaluate(model):
        raise RuntimeError("no test set")

    with pytest.raises(RuntimeError, match="no test set") as caught:
        run(tmp_path, evaluate=evaluate)
    assert not hasattr(caught.value, "__notes__")
    assert History.load(tmp_path / "history.jsonl").status == "failed"


def test_interrupt_ends_after_the_step_with_a_checkpoint_and_can_be_resumed(tmp_path):
    def interrupted(model, batch):
        interrupted.calls += 1
        if interrupted.calls == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return l1(model, batch)

    interrupted.calls = 0
    before = signal.getsignal(signal.SIGINT)
    _, history = run(tmp_path, losses=interrupted)
    assert signal.getsignal(signal.SIGINT) is before
    assert history.status == "interrupted"
    assert history.records[-1]["step"] == 7
    _, resumed = run(tmp_path, resume=True)
    assert facts(resumed) == facts(run()[1])


def test_second_interrupt_ends_at_once_and_keeps_the_last_checkpoint(tmp_path):
    def stubborn(model, batch):
        stubborn.calls += 1
        if stubborn.calls == 7:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return l1(model, batch)

    stubborn.calls = 0
    _, history = run(tmp_path, losses=stubborn)
    assert history.status == "interrupted"
    assert History.load(tmp_path / "history.jsonl").status == "interrupted"
    assert load_checkpoint(tmp_path / "checkpoint.safetensors", network())["step"] == 5


def test_observer_sees_every_step_with_speed_and_time_left():
    observer = StopAfter()
    _, history = run(observer=observer, evaluate=lambda model: {"error": 1.0})
    steps = [step for step, _, _ in observer.seen]
    assert sorted(set(steps)) == list(range(1, 16))
    assert all(speed > 0 for _, speed, _ in observer.seen)
    assert observer.seen[-1][2] == 0
    assert observer.history is history
    assert observer.status == "finished"


def test_throughput_leaves_evaluation_out(monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(logbook.time, "perf_counter", lambda: float(next(clock)))

    def slow(model):
        for _ in range(50):
            next(clock)
        return {"error": 1.0}

    _, history = run(evaluate=slow)
    assert {record["images_per_second"] for record in history.of_kind("train")} == {8.0}


def test_evaluation_sees_the_model_at_rest_and_training_goes_on_in_training_mode():
    modes = []

    def evaluate(model):
        modes.append((model.training, torch.is_grad_enabled()))
        return {"error": 1.0}

    def losses(model, batch):
        assert model.training
        return l1(model, batch)

    _, history = run(evaluate=evaluate, losses=losses)
    assert modes == [(False, False)] * 3
    assert history.curve("error")[0].tolist() == [5, 10, 15]


# ---- checkpoints


def test_checkpoint_gives_back_weights_moments_and_groups_bit_for_bit(tmp_path):
    model, _ = run()
    optimizer = torch.optim.AdamW(
        [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[5].parameters()}], betas=(0.9, 0.95)
    )
    model(torch.rand(4, 3, 8, 8)).sum().backward()
    optimizer.step()
    save_checkpoint(tmp_path / "c.safetensors", model, [optimizer], {"step": 3})
    other = network().to(memory_format=torch.channels_last)
    fresh = torch.optim.AdamW([{"params": other[0].parameters(), "lr": 0.7}, {"params": other[5].parameters()}])
    assert load_checkpoint(tmp_path / "c.safetensors", other, [fresh]) == {"step": 3}
    assert same_weights(model, other)
    saved, loaded = optimizer.state_dict(), fresh.state_dict()
    assert saved["param_groups"] == loaded["param_groups"]
    assert all(
        torch.equal(saved["state"][i][k], loaded["state"][i][k]) for i in saved["state"] for k in saved["state"][i]
    )
    moment = fresh.state[other[0].weight]["exp_avg"]
    assert moment.stride() == other[0].weight.stride()


def test_momentum_free_sgd_and_shared_weights_can_be_saved(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    save_checkpoint(tmp_path / "c.safetensors", model, [optimizer])
    load_checkpoint(tmp_path / "c.safetensors", model, [optimizer])


def test_truncated_checkpoint_is_called_damaged(tmp_path):
    file = tmp_path / "c.safetensors"
    save_checkpoint(file, network())
    whole = file.read_bytes()
    for size in (0, 5, 200, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(CourseError, match=r"c\.safetensors is damaged \(cut off or altered\)"):
            load_checkpoint(file, network())


def test_checkpoint_of_another_model_or_without_header_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_checkpoint(tmp_path / "c.safetensors", network())
    with pytest.raises(CourseError, match="does not fit this model"):
        load_checkpoint(tmp_path / "c.safetensors", nn.Linear(2, 2))
    with pytest.raises(CourseError, match="holds 0 optimizers; 1 were given"):
        load_checkpoint(tmp_path / "c.safetensors", network(), [adam(network())])
    save_file({"weight": torch.ones(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CourseError, match="not a checkpoint of this course"):
        load_checkpoint(tmp_path / "foreign.safetensors", network())
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "absent.safetensors", network())


def test_disk_that_fills_up_while_saving_leaves_the_old_checkpoint(tmp_path):
    file = tmp_path / "c.safetensors"
    save_checkpoint(file, nn.Linear(2, 2))
    before = file.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(CourseError, match=r"c\.safetensors could not be written: .*File too large"):
            save_checkpoint(file, nn.Linear(200, 200))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


# ---- batches


def test_seed_decides_the_order_of_the_data():
    orders = [Batches(range(40), 8, seed=seed).indices(0).tolist() for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_epochs_are_different_permutations_without_repeats():
    batches = Batches(range(40), 8, epochs=2, seed=1)
    epochs = [torch.cat([batches.indices(step).flatten() for step in range(e * 5, e * 5 + 5)]) for e in (0, 1)]
    assert all(sorted(order.tolist()) == list(range(40)) for order in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()


def test_processes_and_micro_batches_share_out_the_same_batch():
    whole = Batches(range(40), 8, seed=1).indices(2).flatten()
    shares = [Batches(range(40), 8, seed=1, accumulate=2, rank=r, processes=2) for r in (0, 1)]
    parts = [share.indices(2)[part, share.rank] for part in (0, 1) for share in shares]
    assert torch.cat(parts).tolist() == whole.tolist()
    assert len(set(whole.tolist())) == 8


def test_predict_keeps_the_order_and_the_mode_of_the_model():
    model, data = network(), Faces()
    model.train()
    outputs = predict(model, data, lambda m, b: m(b.float_image()), batch_size=7)
    model.eval()
    torch.testing.assert_close(outputs, model(data.images.float() / 255))
    assert not predict(model, data, lambda m, b: m(b.float_image())).requires_grad


# ---- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be an integer from 1 up; got int 0"),
        ({"batch_size": 8.0}, "batch_size must be an integer from 1 up; got float"),
        ({"seed": -1}, "seed must be an integer from 0 up"),
        ({"save_every": True}, "save_every must be an integer from 1 up; got bool"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Settings(**{"epochs": 1, "batch_size": 8, **change})


def test_batch_that_cannot_be_formed_is_refused():
    with pytest.raises(ValueError, match="at most the number of samples, 40; got 64"):
        run(settings=Settings(epochs=1, batch_size=64))
    with pytest.raises(ValueError, match="multiple of accumulate × processes = 3; got 8"):
        run(settings=Settings(epochs=1, batch_size=8, accumulate=3))


@pytest.mark.parametrize("wrong", [{"gaze": torch.ones(())}, torch.ones(()), {"loss": torch.ones(2)}, {"loss": 1.0}])
def test_losses_of_the_wrong_form_are_refused(wrong):
    with pytest.raises(ValueError, match="losses must return a dict of scalar tensors with the key 'loss'"):
        run(losses=lambda model, batch: wrong)


def test_loss_scaling_with_several_optimizers_is_refused():
    from lightning_fabric import Fabric
    from lightning_fabric.plugins import MixedPrecision

    model = network()
    parts = [torch.optim.SGD(model[0].parameters(), 0.1), torch.optim.SGD(model[5].parameters(), 0.1)]
    scaled = Fabric(accelerator="cpu", devices=1, plugins=MixedPrecision("16-mixed", "cpu"))
    with pytest.raises(ValueError, match="serves one optimizer only"):
        train(model, l1, Faces(), parts, SETTINGS, fabric=scaled)


def test_unknown_accelerator_and_resume_without_folder_are_refused():
    with pytest.raises(ValueError, match="accelerator must be one of 'auto', 'cpu', 'cuda', 'mps'; got 'abacus'"):
        make_fabric(accelerator="abacus")
    with pytest.raises(ValueError, match="folder must be given to resume a run"):
        run(resume=True)


def test_training_can_be_imported_where_only_torch_is_installed():
    absent = ("lightning_fabric", "safetensors", "IPython", "ipywidgets", "umap", "seaborn")
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); import gazecourse.training"
    subprocess.run([sys.executable, "-c", code], check=True)
