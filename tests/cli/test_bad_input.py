"""Each mistake in the words is one sentence with status 2, before anything is written."""

import pytest
from tiny import Kdrun, Refused

# word -> all that is said of it
NAMES = {
    "teacher=resent50": "no teacher is called 'resent50'.\n"
    "  nearest: resnet50, resnet56, resnet20        all: kdrun list models",
    "student=mpl": "no student is called 'mpl'.\n  nearest: mlp        all: kdrun list models",
    "loss=kdd": "no loss is called 'kdd'.\n  nearest: kd, kdsvd, rkd        all: kdrun list losses",
    "dataset=cifar11": "no dataset is called 'cifar11'.\n"
    "  nearest: cifar10, cifar100        all: kdrun list datasets",
    "recipe=quik": "no recipe is called 'quik'.\n  nearest: quick        all: kdrun list recipes",
    "recipe/optimizer=adm": "no recipe/optimizer is called 'adm'.\n  nearest: adam, adamw",
    "recipe/schedule=cosin": "no recipe/schedule is called 'cosin'.\n  nearest: cosine",
    "experiment=crd/resnet32": "no experiment is called 'crd/resnet32'.\n"
    "  nearest: crd/resnet32x4_resnet8x4",
    "hydra/launcher=basics": "no hydra/launcher is called 'basics'.\n  nearest: basic",
    "controls=[alon]": "controls: no control is called 'alon'.\n  nearest: alone",
    "controls=[3]": "the config has 2 faults\n"
    "  controls.0: 3 is not text\n"
    "  controls: no control is called 3.\n    available: alone",
    "controls=[alone,alone]": "controls: 'alone' is named twice",
    "loss.name=kdd": "loss: no loss is called 'kdd'.\n  nearest: kd",
    "teacher=4": "no teacher is called '4'.",
    "student=": "no student is called ''.",
    "dataset=null": "no dataset is called 'None'.",
    "student=[1.5]": "no student is called '1.5'.",
    "student=[mlp,mpl]": "no student is called 'mpl'.\n  nearest: mlp",
    "loss=[kd,1]": "no loss is called '1'.",
    "loss=[{a: 1}]": "no loss is called \"{'a': 1}\".",
    "recipe/optimizer=[[adam]]": "no recipe/optimizer is called \"['adam']\".",
    "hydra/launcher=[1.5]": "no hydra/launcher is called '1.5'.",
}
KEYS = {
    "sede=1": "sede: unknown key of the config; nearest: seed, scheme, student",
    "loss.temprature=3": "loss.temprature: unknown key of 'kd'; nearest: temperature",
    "+loss.temprature=3": "loss.temprature: unknown key of 'kd'; nearest: temperature",
    "recipe.lrr=1": "recipe.lrr: unknown key of 'recipe'; nearest: lr",
    "student.hiden=[3]": "student.hiden: unknown key of 'mlp'; nearest: hidden",
    "+student.hiden=[3]": "student.hiden: unknown key of 'mlp'; nearest: hidden",
    "recipe.optimizer.momentun=1": "recipe.optimizer.momentun: unknown key of 'adamw';"
    " its keys: name, betas, eps",
    "evaluate.latency.threds=1": "evaluate.latency.threds: unknown key of 'latency';"
    " nearest: threads",
    "dataset.sub=3": "dataset.sub: unknown key of 'digits'; nearest: subset",
    "teacher.recipe={epoch: 3}": "teacher.recipe.epoch: unknown key of a recipe;"
    " nearest: epochs, warmup_epochs",
    "teacher.recipe={optimizer: {name: sgdd}}": "teacher.recipe.optimizer:"
    " no optimizer is called 'sgdd'.\n  nearest: sgd",
    "hydra.foo=1": "hydra.foo: unknown key of 'hydra'; its keys: run, sweep, launcher,",
    "~loss": "loss: must be given",
    "~launcher": "launcher: must be given",
    "~launcher.jobs": "launcher.jobs: must be given",
    "~recipe.lr": "recipe.lr: must be given",
    "+_target_=os.system": "_target_: is refused: a config names components, it calls no code",
    "+loss._target_=os.system": "loss._target_: is refused: a config names components,"
    " it calls no code",
    "+hydra.callbacks.x._target_=os.system": "hydra.callbacks.x._target_: is refused:"
    " a config calls no code, and this would call os.system",
    "hydra.launcher._target_=os.system": "hydra.launcher._target_: is refused",
    "+student.augment={a: [{_target_: os.system}]}": "student.augment.a._target_: is refused",
}
VALUES = {
    "loss.temperature=0": "loss.temperature: 0 should be greater than 0",
    "loss.temperature=-1": "loss.temperature: -1 should be greater than 0",
    "loss.temperature=nan": "loss.temperature: nan should be a finite number",
    "loss.temperature=inf": "loss.temperature: inf should be a finite number",
    "loss.temperature='4'": "loss.temperature: '4' is not a number",
    "loss.alpha=-0.1": "loss.alpha: -0.1 should be greater than or equal to 0",
    "loss.alpha=1.5": "loss.alpha: 1.5 should be less than or equal to 1",
    "loss.alpha=nan": "loss.alpha: nan should be a finite number",
    "recipe.lr=0": "recipe.lr: 0 should be greater than 0",
    "recipe.lr=-1": "recipe.lr: -1 should be greater than 0",
    "recipe.lr=nan": "recipe.lr: nan should be a finite number",
    "recipe.lr=fast": "recipe.lr: 'fast' is not a number",
    "recipe.epochs=0": "recipe.epochs: 0 should be greater than 0",
    "recipe.epochs=1.5": "recipe.epochs: 1.5 is not a whole number",
    "recipe.batch_size=0": "recipe.batch_size: 0 should be greater than 0",
    "recipe.batch_size=257": "recipe.batch_size: 257 is more than the 256 training samples;"
    " use fewer",
    "teacher.recipe={batch_size: 300}": "teacher.recipe.batch_size: 300 is more than the 256"
    " training samples; use fewer",
    "teacher.recipe={lr: nan}": "teacher.recipe.lr: nan should be a finite number",
    "recipe.lr_by_model={mlp: nan}": "recipe.lr_by_model.mlp: nan should be a finite number",
    "recipe.weight_decay=nan": "recipe.weight_decay: nan should be a finite number",
    "recipe.optimizer.betas=[0.9]": "recipe.optimizer.betas.1: must be given",
    "recipe.schedule.last=nan": "recipe.schedule.last: nan should be a finite number",
    "dataset.std=[nan]": "dataset.std.0: nan should be a finite number",
    "dataset.classes=[1]": "dataset: only the class '1' is left, and classification takes two or"
    " more",
    "dataset.subset=5": "no training sample is left of 5 of 10 classes",
    "seed=-1": "seed: -1 should be greater than or equal to 0",
    "seed=9223372036854775808": "seed: 9223372036854775808 should be less than 9223372036854775808",
    "dataset.split_seed=9223372036854775808": "dataset.split_seed: 9223372036854775808 should be",
    "student.hidden=[0]": "student.hidden.0: 0 should be greater than 0",
    "stop.when=5": "stop.when: 5 is not a mapping",
    "stop.when={reach: 0.9}": "stop.when.reach: unknown key of 'when'; nearest: reaches",
    "stop.when={reaches: 2}": "stop.when.reaches: 2 should be less than or equal to 1",
    "stop.when={within: 0.1}": "stop.when: needs either reaches, or within and of",
    "stop.when={metric: acc, reaches: 0.9}": "stop.when.metric: 'acc' should be 'accuracy',"
    " 'top5', 'precision', 'recall' or 'f1'",
    "name=../x": "name: '../x' should be at most 100 letters, digits, . _ and -, no dot first",
    "name=.x": "name: '.x' should be at most 100 letters, digits, . _ and -, no dot first",
    "name='a\x1b[31mb'": "name: 'a\\x1b[31mb' should be at most 100 letters, digits, . _ and -",
    "name='a\nb'": "name: 'a\\nb' should be at most 100 letters, digits, . _ and -",
    f"name={'a' * 300}": "name: 'aaaaaaaaaa",
    "compress.calibration=0": "compress.calibration: 0 should be greater than 0",
    "export=[onx]": "export: no format is called 'onx'.\n  nearest: onnx",
    "export=onnx": "export: 'onnx' is not a list",
    "launcher=1": "launcher: 1 is not a mapping",
    "launcher.jobs=0": "launcher.jobs: 0 should be greater than 0",
    "evaluate.batch_size=0": "evaluate.batch_size: 0 should be greater than 0",
    "evaluate.latency.seconds=0": "evaluate.latency.seconds: 0 should be greater than 0",
    "loss.temperature=1e300": "loss.temperature: 1e+300 is too large to compute with: at most",
    "recipe.lr=1e13": "recipe.lr: 10000000000000.0 is too large to compute with: at most 1e+12",
    "student.hidden=[99999999999]": "needs 25,599,999,999,744 bytes of memory or more",
    "student.hidden=[8,99999999999999999999]": "student.hidden: 99999999999999999999 is too large",
    "dataset.image_size=1000000": "dataset.image_size: 1000000 should be less than or equal to"
    " 16384",
    "threads=100000": "threads: 100000 should be",
    "evaluate.latency.threads=100000": "evaluate.latency.threads: 100000 should be less than or"
    " equal to 1024",
    "evaluate.latency.threads=0": "evaluate.latency.threads: 0 should be greater than 0",
    "evaluate.protocol=1": "evaluate.protocol: 1 is not a mapping",
    "export_options.tolerance.logits=0": "export_options.tolerance.logits: 0 should be greater"
    " than 0",
    "export_options.tolerance.accuracy=2": "export_options.tolerance.accuracy: 2 should be less"
    " than or equal to 1",
    "device=gpu": "device: 'gpu' should be auto, cpu, mps, cuda or cuda:1",
    "student.freeze=['layrs.*']": "student.freeze: 'layrs.*' matches no weights of 'mlp'; nearest:"
    " layers.0, layers",
    "student.freeze=['*']": "student.freeze: ['*'] leaves nothing that learns",
    "student.taps.stages=[layrs]": "student.taps.stages: the student has no module at 'layrs'.\n"
    "  nearest: layers (B, 8), layers.0",
    "teacher.taps.embedding=hed": "teacher.taps.embedding: the teacher has no module at 'hed'.\n"
    "  nearest: head",
    "student=lenet5": "lenet5 cannot take 8x8 images: its convolutions need 12 pixels or more.\n"
    "  use larger images or a network such as resnet8",
    "plugins=[no_such_module]": "plugins: the plugin 'no_such_module' can't be imported:"
    " No module named 'no_such_module'.",
    "plugins=[json]": "plugins: the plugin 'json' has none of MODELS, LOSSES, SCHEMES, DATASETS,",
    "loss.temperature=2,4": "'loss.temperature=2,4' holds several values.\n"
    "  to run each of them: kdrun -m loss.temperature=2,4",
    "name=${nowhere}": "the config can't be resolved: Interpolation key 'nowhere' not found",
    "student.hidden=[8": "'student.hidden=[8' is no setting: ",
    "=3": "'=3' is no setting: it names no key.",
}
WORDS = {
    ("resme", "RUN"): "'resme' is no verb and no setting.\n  nearest: kdrun resume\n",
    ("lst",): "'lst' is no verb and no setting.\n  nearest: kdrun list, store\n",
    ("kd",): "'kd' is no verb and no setting.\n"
    "  verbs, first of all: list, layers, show, compare, report, search, resume, sensitivity,"
    " export, store\n",
    ("loss.alpha=0.5", "seed"): "'seed' is no verb and no setting.\n",
    ("--hlep",): "no option is called '--hlep'.\n  nearest: --help,",
    ("--cfg",): "argument --cfg/-c: expected one argument.",
    ("--cfg", "jobs"): "argument --cfg/-c: invalid choice: 'jobs'",
    ("--cfg", "job", "-m"): "--multirun and --cfg exclude each other.",
    ("--cfg", "job", "loss=kdd"): "no loss is called 'kdd'.",
    ("--info", "config", "loss.temprature=3"): "loss.temprature: unknown key of 'kd'",
    ("--config-name", "mine"): "--config-name is not an option of kdrun.\n",
    ("--config-path", "mine"): "--config-path is not an option of kdrun.\n",
    ("--experimental-rerun", "job.pickle"): "--experimental-rerun is not an option of kdrun.\n",
    ("--config-dir", "nowhere"): "there is no folder 'nowhere' with config files.",
    ("hydra.searchpath=[file://nowhere]",): "there is no folder 'nowhere' with config files.",
    ("list", "modles"): "no kind is called 'modles'.\n  nearest: models",
    ("resume",): "resume takes one run folder: kdrun resume RUN.\n",
    ("resume", "nowhere"): "there is no 'nowhere'.\n  the runs that are there: kdrun list runs",
    ("show", "nowhere"): "there is no 'nowhere'.\n",
    ("export",): "export: the following arguments are required: --to.\n  kdrun export RUN --to",
    ("layers", "resnet20"): "which network?\n  kdrun layers model=resnet20 dataset=cifar10",
    ("layers", "model=resnet999"): "no model is called 'resnet999'.\n  nearest: resnet8,",
    ("layers", "model=lenet5"): "model: lenet5 cannot take 8x8 images: its convolutions need 12",
    (
        "layers",
        "model=mlp",
        "model.hiden=[3]",
    ): "model.hiden: unknown key of 'mlp';",
}


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_word_in_a_wrong_place_is_named(words: tuple[str, ...], refused: Refused) -> None:
    assert refused(*words, before=()).startswith(WORDS[words])


@pytest.mark.parametrize("word", NAMES)
def test_an_unknown_name_gets_the_nearest(word: str, refused: Refused) -> None:
    assert refused(word).startswith(NAMES[word])


@pytest.mark.parametrize("word", KEYS)
def test_an_unknown_key_gets_the_nearest(word: str, refused: Refused) -> None:
    assert refused(word).startswith(KEYS[word])


@pytest.mark.parametrize("word", VALUES)
def test_a_bad_value_is_named_with_what_is_allowed(word: str, refused: Refused) -> None:
    before = {"student=lenet5": ()}.get(word)
    said = refused(word) if before is None else refused(word, before=before)
    assert said.removeprefix("student: ").startswith(VALUES[word])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("weight={value: 1, warm: 3}", "weight.warm: unknown key of 'weight'; nearest: warmup"),
        ("weight={value: -1}", "weight.value: -1 should be greater than or equal to 0"),
        ("weight=hot", "weight: 'hot' should be a number or a mapping"),
        ("pairs=[[1, layer2]]", "pairs.0.0: 1 is not text"),
    ],
)
def test_of_values_of_many_kinds_only_the_nearest_kind_is_told(
    given: str, expected: str, refused: Refused
) -> None:
    assert refused("loss=attention", f"loss.{given}") == f"loss.{expected}"


def test_a_folder_with_a_name_that_is_too_long_is_named(refused: Refused) -> None:
    said = refused(f"hydra.run.dir={'a' * 300}")
    assert said.startswith("hydra.run.dir: 'aaa")
    assert said.endswith("can't be read: File name too long")


def test_a_very_long_value_is_cut_in_the_sentence(refused: Refused) -> None:
    said = refused(f"name={'a' * 300}")
    assert said.startswith("name: 'aaa")
    assert "at most 100 letters" in said
    assert len(said) < 200


def test_all_mistakes_of_a_command_are_reported_together(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    said = refused(
        "student=mpl",
        "loss.temprature=3",
        "loss.temperature=0",
        "recipe.epochs=1.5",
        "dataset=cifar10",
        "dataset.download=false",
        "dataset.root=nowhere",
        "device=cuda:7",
        "stop.when={within: 0.1, of: alone}",
        "controls=[]",
        "teacher.hidden=[0]",
        "output_root=/dev/null/outputs",
    )
    assert said.splitlines() == [
        "the config has 9 faults",
        "  no student is called 'mpl'.",
        "    nearest: mlp        all: kdrun list models",
        "  loss.temprature: unknown key of 'kd'; nearest: temperature",
        "  recipe.epochs: 1.5 is not a whole number",
        "  loss.temperature: 0 should be greater than 0",
        "  teacher.hidden.0: 0 should be greater than 0",
        "  stop.when: of 'alone', which is not among the controls",
        "  output_root: '/dev/null/outputs' can't be made: '/dev/null' is a file",
        "  dataset 'cifar10' is not in 'nowhere'.",
        "    expected there: cifar-10-batches-py/data_batch_1, cifar-10-batches-py/data_batch_2,"
        " cifar-10-batches-py/data_batch_3, cifar-10-batches-py/data_batch_4,"
        " cifar-10-batches-py/data_batch_5, cifar-10-batches-py/test_batch,"
        " cifar-10-batches-py/batches.meta",
        "    name its folder with dataset.root=FOLDER, or download it with dataset.download=true",
        "  device=cuda:7 was asked for, but this PyTorch sees no CUDA device.",
        "    use device=cpu, or device=auto for the best that there is",
    ]


def test_all_that_networks_do_wrong_is_reported_together(refused: Refused) -> None:
    said = refused(
        "student.freeze=[nothing]",
        "student.taps.logits=nowhere",
        "teacher.taps.stages=[nowhere]",
        "teacher.checkpoint=nowhere.pt",
        "recipe.batch_size=300",
    )
    assert [line.partition(":")[0] for line in said.splitlines()[1:] if line[2] != " "] == [
        "  teacher.checkpoint",
        "  teacher.taps.stages",
        "  student.taps.logits",
        "  recipe.batch_size",
        "  student.freeze",
    ]


def test_the_keys_of_an_unknown_choice_are_not_judged(refused: Refused) -> None:
    said = refused("student=my_net", "student.width=3", "student.freeze=[block1]")
    assert said.startswith("no student is called 'my_net'.")
    said = refused("recipe/optimizer=lamb", "recipe.optimizer.trust=1", "recipe.optimizer.eps=x")
    assert said.startswith("no recipe/optimizer is called 'lamb'.")
    said = refused("dataset=my_set", "dataset.pages=3", "student=lenet5", before=())
    assert said.startswith("no dataset is called 'my_set'.")


def test_faults_of_all_jobs_are_found_before_the_first_starts(refused: Refused) -> None:
    said = refused("-m", "loss.temperature=4,0,-1", "seed=0,x", "student=mlp,mpl")
    assert sorted(line for line in said.splitlines()[1:] if line[2] != " ") == [
        "  loss.temperature: -1 should be greater than 0",
        "  loss.temperature: 0 should be greater than 0",
        "  no student is called 'mpl'.",
        "  seed: 'x' is not a whole number",
    ]


NORMS = "a norm of it would see one value per channel; use a larger recipe.batch_size or a smaller"
SINGLE = {
    ("student=resnet18", "recipe.batch_size=1", "dataset.subset=40"): ["student"],
    ("student=resnet18", "recipe.accumulate=64", "dataset.subset=127"): ["student"],
    ("teacher=resnet18", "student=resnet18", "recipe.accumulate=33"): ["teacher", "student"],
    ("teacher=resnet18", "student=mlp", "teacher.recipe={accumulate: 64}"): ["teacher"],
}


@pytest.mark.parametrize("words", SINGLE, ids=" ".join)
def test_a_norm_that_would_see_a_single_value_is_found_before_training(
    words: tuple[str, ...], refused: Refused
) -> None:
    said = refused("teacher=mlp", *words, before=("threads=1",))
    told = [line.strip() for line in said.splitlines() if "would see one value" in line]
    assert [line.partition(":")[0] for line in told] == SINGLE[words]
    assert all(NORMS in line for line in told)


def test_a_frozen_norm_may_see_a_single_value(kdrun: Kdrun) -> None:
    words = ("teacher=mlp", "teacher.hidden=[8]", "student=resnet18", "recipe.batch_size=1")
    kdrun(*words, "student.freeze=[conv1,bn1,layer1,layer2,layer3,layer4]", "check=true")


def test_a_device_that_is_not_there_is_told_beside_a_faulty_precision(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    said = refused("device=cuda", "precision=fp8", "teacher=resnt", "threads=0")
    assert "  device=cuda was asked for, but this PyTorch sees no CUDA device." in said
    assert said.startswith("the config has 4 faults\n")


def test_plugins_that_are_not_there_are_told_beside_other_faults(refused: Refused) -> None:
    said = refused("seed=1.5", "plugins=[nope,nada]", "controls=[alon]", "checkpoint_seconds=0")
    assert [line for line in said.splitlines()[1:] if line[2] != " "] == [
        "  plugins: the plugin 'nope' can't be imported: No module named 'nope'.",
        "  plugins: the plugin 'nada' can't be imported: No module named 'nada'.",
        "  seed: 1.5 is not a whole number",
        "  checkpoint_seconds: 0 should be greater than 0",
        "  controls: no control is called 'alon'.",
    ]
    said = refused("seed=1.5", "plugins=nope")
    assert [line for line in said.splitlines()[1:] if line[2] != " "] == [
        "  seed: 1.5 is not a whole number",
        "  plugins: 'nope' is not a list",
    ]
    said = refused("--cfg", "job", "plugins=[nope]", before=())
    assert said.startswith("plugins: the plugin 'nope' can't be imported")


def test_a_part_of_a_recipe_that_is_given_as_a_key_says_how_it_is_chosen(refused: Refused) -> None:
    assert refused("recipe.schedule=multistep") == (
        "recipe.schedule: 'multistep' is not a mapping; by name: recipe/schedule=multistep"
    )
    assert refused("recipe.optimizer=adam") == (
        "recipe.optimizer: 'adam' is not a mapping; by name: recipe/optimizer=adam"
    )
    assert refused("teacher.recipe={optimizer: adam}") == (
        "teacher.recipe.optimizer: 'adam' is not a mapping; give it with all of its keys:"
        " teacher.recipe={optimizer: {name: adam, betas: ..., eps: ...}}"
    )
    assert refused("teacher.recipe={schedule: cosin}") == (
        "teacher.recipe.schedule: no schedule is called 'cosin'.\n  nearest: cosine"
    )
    said = refused("recipe.schedule=multistep", "teacher.recipe={optimizer: adam}")
    assert [line.partition(":")[0] for line in said.splitlines()[1:]] == [
        "  recipe.schedule",
        "  teacher.recipe.optimizer",
    ]


def test_images_that_are_too_large_for_the_memory(refused: Refused) -> None:
    said = refused("dataset.image_size=16384", "student=resnet8", status=7)
    assert said.startswith("out of memory while the config was checked.\n  use smaller images")


@pytest.mark.parametrize(
    ("value", "bound"), [("-0.1", "greater than or equal to 0"), ("1", "less than 1")]
)
def test_a_share_of_weights_that_leaves_none_or_adds_some(
    value: str, bound: str, refused: Refused
) -> None:
    key = "compress.prune_weights.sparsity"
    said = refused("compress=prune_weights", f"{key}={value}")
    assert said == f"{key}: {value} should be {bound}"
