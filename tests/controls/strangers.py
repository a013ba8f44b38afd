"""Controls of rows S1 to S29 about words, folders and files that come from a stranger."""

from .control import Control

_CODE = "config/foreign_code.py"
_SWEEP = "cli/test_foreign_sweep.py"
_REFUSED = "config/test_foreign_code.py::test_what_would_run_code_or_programs_is_refused"
_NO_LINK = ("core/atomic.py", "    if path.is_symlink():\n", "    if False:\n")

CONTROLS: list[Control] = [
    Control(
        "S1",
        _CODE,
        "if faults := [*faults, *foreign_code(config.hydra)]:",
        "if False:",
        f"{_SWEEP}::test_words_of_a_foreign_sweep_are_checked_as_typed_ones",
    ),
    Control(
        "S4",
        "core/atomic.py",
        "flags | os.O_NOFOLLOW | os.O_NONBLOCK",
        "flags | os.O_NONBLOCK",
        "core/test_links.py::test_no_linked_file_is_written",
    ),
    Control("S4", *_NO_LINK, "core/test_links.py::test_no_linked_folder_is_written"),
    Control(
        "S5",
        "core/plugins.py",
        "    if unnamed:\n",
        "    if False:\n",
        f"{_SWEEP}::test_plugins_of_a_foreign_sweep_are_imported_only_if_the_command_names_them",
    ),
    Control(
        "S6",
        "core/sweep.py",
        'if not _JOB_NAME.fullmatch(job["folder"]):',
        "if False:",
        f"{_SWEEP}::test_a_job_whose_folder_is_not_in_the_sweep_is_refused",
    ),
    Control(
        "S7",
        "dataset/image/eight_bits.py",
        "if not np.isfinite(values).all():",
        "if False:",
        "dataset/image/test_pixel_depths.py::test_what_has_no_scale_is_refused",
    ),
    Control(
        "S11",
        "core/control_characters.py",
        "return _CONTROLS.sub(lambda match: json.dumps(match[0])[1:-1], text)",
        "return text",
        "core/test_screen.py::test_no_way_to_print_or_log_lets_a_control_character_through",
    ),
    Control(
        "S25",
        _CODE,
        'if not node.get("callbacks"):',
        "if True:",
        f"{_REFUSED}",
    ),
    Control(
        "S8",
        "dataset/reader_check.py",
        "if count != len(targets):",
        "if False:",
        "dataset/image/test_torchvision_sets.py"
        "::test_images_and_labels_of_different_numbers_are_refused",
    ),
    Control(
        "S10",
        "core/environment_values.py",
        "return re.sub(pattern, lambda match: references[match[0]], text)",
        "return text",
        "core/test_environment_values.py::test_a_value_is_a_reference_wherever_it_stands",
    ),
    Control(
        "S13",
        "check/steps.py",
        'if run.faults or "evaluate" not in run.sound or run.config',
        "if run.config",
        "cli/test_bad_input.py::test_a_bad_value_is_named_with_what_is_allowed"
        "[evaluate.batch_size=0]",
    ),
    Control(
        "S14",
        "compare/stored_arrays.py",
        "except _ERRORS as error:",
        "except ZeroDivisionError as error:",
        "compare/test_report_page.py::test_a_damaged_file_of_arrays_is_named",
    ),
    Control(
        "S15",
        "core/records/check.py",
        '_check_of(cast("Hashable", kind))(record)',
        "pass",
        "compare/test_damaged_records.py::test_a_value_of_another_kind_is_named_in_a_report",
    ),
    Control(
        "S18",
        "core/errors.py",
        "return 128 + (error.args[0] if error.args else signal.SIGINT)",
        "return 130",
        "engine/test_interrupt.py::test_a_second_signal_stops_at_once_with_its_own_status[term]",
    ),
    Control(
        "S21",
        "run/new_folder.py",
        'return [Fault(_where(job), f"{folder!r} can\'t be read: {error.strerror}")]',
        "raise",
        "cli/test_bad_input.py::test_a_folder_with_a_name_that_is_too_long_is_named",
    ),
    Control(
        "S24",
        "compare/records.py",
        'return f"\'{text}"',
        "return text",
        "cli/test_compare.py::test_csv_marks_what_a_spreadsheet_would_run",
    ),
]
