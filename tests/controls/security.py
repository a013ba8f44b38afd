"""Controls of the table of risks: each is called by the first word of its line there."""

from .control import Control

_CHECKPOINT = "cli/test_bad_files.py::test_a_checkpoint_of_something_else"
_PICKLE = (
    "stage/checkpoint_file.py",
    'torch.load(path, map_location="cpu", weights_only=True)',
    'torch.load(path, map_location="cpu", weights_only=False)',
)
_STATE = "engine/state_format.py"

CONTROLS: list[Control] = [
    Control(
        "pickle",
        *_PICKLE,
        f"{_CHECKPOINT}[hostile]",
        "stage/test_given_checkpoint.py::test_nothing_in_a_file_is_called",
    ),
    Control(
        "weights_only",
        "stage/checkpoint_file.py",
        'return type(name, (_Inert,), {"__module__": "inert", "container": container})',
        'return __import__("pydoc").locate(name)',
        "stage/test_given_checkpoint.py::test_nothing_in_a_file_is_called",
    ),
    Control(
        "odd_objects",
        _STATE,
        'raise TypeError(f"{where} is a {value_type.__name__}, which a checkpoint can\'t hold")',
        "return str(value)",
        "engine/test_state_format.py::test_other_types_are_refused_by_their_place",
    ),
    Control(
        "_target_",
        "config/foreign_code.py",
        "if allowed is not None and not allowed.fullmatch(str(value)):",
        "if False:",
        "config/test_foreign_code.py::test_what_would_run_code_or_programs_is_refused",
    ),
    Control(
        "YAML",
        "core/careful_yaml.py",
        "read_all(file, limits.YAML)",
        "read_all(file, 10**12)",
        "core/test_careful_yaml.py::test_a_file_that_is_too_large_is_refused",
    ),
    Control(
        "resolver",
        "core/environment_values.py",
        "return re.sub(pattern, lambda match: references[match[0]], text)",
        "return text",
        "core/test_environment_values.py::test_a_value_is_a_reference_wherever_it_stands",
    ),
    Control(
        "path",
        "core/config/types.py",
        'r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}"',
        'r"(?s).*"',
        "cli/test_bad_input.py::test_a_bad_value_is_named_with_what_is_allowed[name=../x]",
        "cli/test_bad_input.py::test_a_bad_value_is_named_with_what_is_allowed[name=.x]",
    ),
    Control(
        "html",
        "compare/report/markup.py",
        "return child if isinstance(child, Markup) else escape(show_controls(str(child)))",
        "return str(child)",
        "compare/test_report_page.py::test_hostile_values_are_text",
    ),
    Control(
        "terminal",
        "core/control_characters.py",
        "return _CONTROLS.sub(lambda match: json.dumps(match[0])[1:-1], text)",
        "return text",
        "core/test_screen.py::test_no_way_to_print_or_log_lets_a_control_character_through",
    ),
    Control(
        "rights",
        "core/rights.py",
        "        if reason:\n",
        "        if False:\n",
        "core/test_rights.py::test_what_all_users_can_write_is_not_resumed",
    ),
]
