"""Controls of the table of bad inputs, B1 to B36."""

from .control import Control

_INPUT = "cli/test_bad_input.py::"
_VALUE = f"{_INPUT}test_a_bad_value_is_named_with_what_is_allowed"
_FILES = "cli/test_bad_files.py::"
_CHECKPOINT = f"{_FILES}test_a_checkpoint_of_something_else"
_KD = ("loss/logits.py", "self, alpha: UnitInterval, temperature: PositiveFloat) -> None:")
_LAX = (*_KD, "self, alpha: float, temperature: float) -> None:")
_RECIPE = "core/config/recipe.py"
_FINITE = (
    "core/registry.py",
    'extra="forbid", allow_inf_nan=False, arbitrary',
    'extra="forbid", arbitrary',
)
_NAMES = (
    "core/config/types.py",
    'r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}"',
    'r"(?s).*"',
)

CONTROLS: list[Control] = [
    Control(
        "B1",
        "config/suggestions.py",
        "return Fault(key, unknown_key_of(parent, name, siblings))",
        "return None",
        f"{_INPUT}test_an_unknown_key_gets_the_nearest[loss.temprature=3]",
    ),
    *(
        Control(
            row,
            "config/suggestions.py",
            "if not known:",
            "if False:",
            f"{_INPUT}test_an_unknown_name_gets_the_nearest[{word}]",
        )
        for row, word in {"B2": "student=mpl", "B3": "loss=kdd"}.items()
    ),
    Control("B4", *_LAX, f"{_VALUE}[loss.temperature=0]"),
    Control("B5", *_LAX, f"{_VALUE}[loss.temperature=-1]"),
    Control("B6", *_LAX, f"{_VALUE}[loss.temperature=nan]", edits=[_FINITE]),
    Control("B6", *_LAX, f"{_VALUE}[loss.temperature=inf]", edits=[_FINITE]),
    Control("B7", *_LAX, f"{_VALUE}[loss.alpha=-0.1]"),
    Control("B8", *_LAX, f"{_VALUE}[loss.alpha=1.5]"),
    Control(
        "B9",
        _RECIPE,
        "    lr: PositiveFloat\n",
        "    lr: float\n",
        f"{_VALUE}[recipe.lr=0]",
        f"{_VALUE}[recipe.lr=-1]",
    ),
    Control(
        "B10",
        _RECIPE,
        "    epochs: PositiveInt\n",
        "    epochs: float\n",
        f"{_VALUE}[recipe.epochs=0]",
        f"{_VALUE}[recipe.epochs=1.5]",
    ),
    Control(
        "B11",
        "check/training.py",
        "if size > samples:",
        "if False:",
        f"{_VALUE}[recipe.batch_size=257]",
    ),
    Control(
        "B11",
        _RECIPE,
        "    batch_size: PositiveInt\n",
        "    batch_size: int\n",
        f"{_VALUE}[recipe.batch_size=0]",
    ),
    Control(
        "B12",
        "dataset/image/folder.py",
        "    if not empty_folders:\n",
        "    if True:\n",
        f"{_FILES}test_a_class_folder_without_pictures",
    ),
    Control(
        "B13",
        "dataset/reader_check.py",
        "outside = (targets < 0) | (targets >= num_classes)",
        "outside = targets < -1",
        "dataset/image/test_torchvision_sets.py::test_a_label_outside_the_classes_is_named",
    ),
    Control(
        "B14",
        "dataset/image/torchvision_sets.py",
        'f"dataset {name!r} in {str(root)!r} is damaged: {damage}.",',
        'f"{error}",',
        "dataset/image/test_torchvision_sets.py::test_a_truncated_file_is_damaged",
    ),
    Control(
        "B15",
        "dataset/image/eight_bits.py",
        "if not np.isfinite(values).all():",
        "if False:",
        "dataset/image/test_pixel_depths.py::test_what_has_no_scale_is_refused",
    ),
    Control(
        "B16",
        "dataset/class_selection.py",
        "if len(merged) < 2:",
        "if False:",
        f"{_FILES}test_a_single_class",
    ),
    Control(
        "B17",
        "check/networks.py",
        "faults.extend(misfits := model.check_forward(role, module, info))",
        "misfits: list[object] = []",
        f"{_FILES}test_grey_images_into_a_network_for_color",
    ),
    Control(
        "B18",
        "check/components.py",
        'faults.add("controls", f"{name!r} is named twice")',
        "pass",
        f"{_INPUT}test_an_unknown_name_gets_the_nearest[controls=[alone,alone]]",
    ),
    Control("B19", *_NAMES, f"{_VALUE}[name=../x]"),
    Control("B20", *_NAMES, f"{_INPUT}test_a_very_long_value_is_cut_in_the_sentence"),
    Control("B21", *_NAMES, _VALUE + "[name='a\\nb']"),
    Control(
        "B22",
        "check/typed_config.py",
        "if _TARGET in value:",
        "if False:",
        f"{_INPUT}test_an_unknown_key_gets_the_nearest[+loss._target_=os.system]",
    ),
    Control(
        "B23",
        "core/careful_yaml.py",
        "root = yaml.compose(text, Loader=yaml.SafeLoader)",
        "root = yaml.compose(text, Loader=yaml.SafeLoader)\n"
        "        return yaml.load(text, Loader=yaml.UnsafeLoader)",
        "core/test_careful_yaml.py::test_a_tag_that_calls_code_is_refused",
    ),
    Control(
        "B24",
        "core/careful_yaml.py",
        "if count > _MAX_VALUES:",
        "if False:",
        "core/test_careful_yaml.py::test_a_file_that_contains_itself_is_refused",
    ),
    Control(
        "B25",
        "core/careful_yaml.py",
        'line = f", line {mark.line + 1}" if mark is not None else ""',
        'line = ""',
        f"{_FILES}test_a_config_file_that_somebody_sent",
    ),
    Control(
        "B26",
        "stage/checkpoint_file.py",
        'torch.load(path, map_location="cpu", weights_only=True)',
        'torch.load(path, map_location="cpu", weights_only=False)',
        f"{_CHECKPOINT}[hostile]",
    ),
    Control(
        "B27",
        "stage/checkpoint_file.py",
        "if path.stat().st_size == 0:",
        "if False:",
        f"{_FILES}test_a_file_that_is_no_checkpoint",
    ),
    Control(
        "B28",
        "stage/state_dict.py",
        "    if rows:\n",
        "    if False:\n",
        f"{_CHECKPOINT}[another architecture]",
    ),
    Control(
        "B29",
        "stage/state_dict.py",
        "classes = _other_classes(expected, weights)",
        "classes = None",
        f"{_CHECKPOINT}[other classes]",
    ),
    Control(
        "B30",
        "engine/checkpoint.py",
        "if version > _FORMAT:",
        "if False:",
        "engine/test_checkpoint.py::test_a_newer_format_is_told_from_damage",
    ),
    Control(
        "B31",
        "core/device.py",
        "if not available[kind]:",
        "if False:",
        "core/test_device.py::test_a_device_that_is_not_there_is_refused",
    ),
    Control(
        "B32",
        "core/taps.py",
        'hint = f"nearest: {_with_shapes(close, network, data)}" if close else _SHOW_PATHS',
        "return query",
        f"{_VALUE}[student.taps.stages=[layrs]]",
    ),
    Control(
        "B33",
        "step/prune_weights.py",
        "        sparsity: UnitBelowOne,",
        "        sparsity: float,",
        "step/test_planned.py::test_bad_settings_are_refused_in_a_sentence",
    ),
    Control(
        "B34",
        "core/config/sections.py",
        "    calibration: PositiveInt\n",
        "    calibration: int\n",
        "cli/test_bad_input.py::test_a_bad_value_is_named_with_what_is_allowed[compress.calibration=0]",
    ),
    Control(
        "B35",
        "compare/gather.py",
        "    if not paths:\n",
        "    if False:\n",
        "compare/test_gather.py::test_a_path_that_is_not_there_names_the_nearest",
    ),
    Control(
        "B35",
        "compare/gather.py",
        'if manifest.get("status") != "finished":',
        "if False:",
        "compare/test_gather.py::test_what_did_not_finish_is_left_out_with_its_error",
    ),
    Control(
        "B36",
        "core/atomic.py",
        "if isinstance(value, float) and not math.isfinite(value):",
        "if False:",
        "core/test_sums.py::test_json_is_valid_also_with_nan",
        "core/test_metrics_log.py::test_non_finite_numbers_become_null_and_are_named",
    ),
]
