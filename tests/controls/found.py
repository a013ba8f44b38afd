"""Controls of what was found by trying: S1 to S29."""

from .control import Control

CONTROLS: list[Control] = [
    Control(
        "S2",
        "config/foreign_code.py",
        'if not node.get("job", {}).get("env_set"):',
        "if True:",
        "config/test_foreign_code.py::test_what_would_run_code_or_programs_is_refused"
        "[+hydra.job.env_set.PATH=bin]",
    ),
    Control(
        "S3",
        "engine/checkpoint.py",
        'if state.get("training", training) != training:',
        "if False:",
        "engine/test_checkpoint.py::test_a_state_of_another_training_is_kept_until_that_is_back",
        "engine/test_loop.py::test_a_checkpoint_of_another_training_is_not_continued",
    ),
    Control(
        "S9",
        "core/instructions.py",
        "limits = [",
        "limits = [] and [",
        "core/test_instructions.py::test_a_variable_that_limits_a_library_is_named",
    ),
    Control(
        "S9",
        "stage/artefact.py",
        "if computed_with != [here]:",
        "if False:",
        "stage/test_other_instructions.py::test_stages_that_other_instructions_computed_are_named",
    ),
    Control(
        "S9",
        "run/environment.py",
        'return [f"resumed with {line}" for line in differences(before, recorded)]',
        "return []",
        "run/test_runner.py::test_a_record_of_an_older_kdrun_is_compared_by_the_keys_that_it_has",
    ),
    Control(
        "S17",
        "sweep/hydra_launcher.py",
        "job_return.cfg = job_return.hydra_cfg = None",
        "pass",
        "sweep/test_hydra_launcher.py::test_no_config_of_a_job_stays_in_memory",
    ),
    Control(
        "S17",
        "check/data.py",
        "@lru_cache(maxsize=4)",
        "@lru_cache(maxsize=None)",
        "check/test_data.py::test_a_sweep_over_settings_of_the_data_keeps_the_last_data_sets_alone",
    ),
    Control(
        "S17",
        "config/sweep_jobs.py",
        "numbers = _numbers(parse_jobs(jobs), loader)",
        "numbers: dict[str, Override] = {}",
        "config/test_sweep_jobs.py"
        "::test_jobs_that_differ_in_numbers_alone_have_the_configs_that_hydra_composes",
    ),
    Control(
        "S17",
        "config/sweep_jobs.py",
        "[:_NEW_TEXTS]",
        "",
        "config/test_sweep_jobs.py"
        "::test_many_different_jobs_are_not_all_composed_before_the_first_starts",
    ),
    Control(
        "S17",
        "config/sweep_jobs.py",
        "if count > limits.JOBS:",
        "if False:",
        "config/test_sweep_jobs.py"
        "::test_more_jobs_than_a_sweep_may_have_are_refused_before_they_are_made[words2]",
    ),
    Control(
        "S17",
        "cli/launch.py",
        "faults += settings_faults(tree)",
        "pass",
        "cli/test_sweep.py::test_a_mistake_in_a_late_job_is_found_before_the_first_starts",
    ),
    Control(
        "S19",
        "core/atomic.py",
        "if error.errno not in _OF_STORAGE:",
        "if True:",
        "cli/test_full_disk.py::test_an_error_of_the_disk_that_nothing_else_explains",
    ),
    Control(
        "S19",
        "run/runner.py",
        "if first is None:",
        "if True:",
        "cli/test_full_disk.py"
        "::test_a_run_keeps_its_first_error_where_its_record_does_not_fit_either",
    ),
    Control(
        "S20",
        "config/foreign_code.py",
        'if node.get("job", {}).get("chdir"):',
        "if False:",
        "config/test_foreign_code.py::test_what_would_run_code_or_programs_is_refused"
        "[hydra.job.chdir=true]",
    ),
    Control(
        "S20",
        "config/foreign_code.py",
        'if node.get("output_subdir") not in (_SUBFOLDER, None):',
        "if False:",
        "config/test_foreign_code.py::test_what_would_run_code_or_programs_is_refused"
        "[hydra.output_subdir=../../../outside]",
    ),
    Control(
        "S26",
        "engine/interrupt.py",
        "            silence_closed_terminal()\n",
        "            return\n",
        "engine/test_interrupt.py"
        "::test_a_closed_terminal_stops_after_the_step_however_often_it_is_told",
    ),
    Control(
        "S26",
        "core/hangup.py",
        "kept = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN",
        "kept = False",
        "engine/test_interrupt.py::test_nohup_is_kept",
    ),
    Control(
        "S27",
        "engine/loop.py",
        "if state is None and self.log.offset and not self.notes:",
        "if False:",
        "engine/test_loop.py::test_a_stage_whose_checkpoints_were_deleted_says_that_it_begins_anew",
    ),
    Control(
        "S28",
        "run/new_folder.py",
        "if _content(lock.folder):",
        "if False:",
        "cli/test_bad_surroundings.py"
        "::test_a_folder_that_a_command_of_the_same_time_takes_is_left_to_it",
    ),
    Control(
        "S12",
        "core/json_file.py",
        "if record.pop(_SUM, found) != found and not is_newer(record):",
        "if record.pop(_SUM, found) is None:",
        "core/test_sums.py::test_a_changed_record_is_damaged",
    ),
    Control(
        "S12",
        "core/folder.py",
        "if path.name in sums and not _has_sum(path, sums[path.name]):",
        "if False:",
        "core/test_sums.py::test_a_file_that_is_not_the_runs_is_damage",
        "cli/test_damaged_folders.py::test_predictions_that_are_gone_are_told",
    ),
    Control(
        "S15",
        "engine/state_format.py",
        "        if file.tell() < end:\n",
        "        if False:\n",
        "engine/test_checkpoint.py::test_other_content_with_a_right_digest_is_damaged",
    ),
    Control(
        "S15",
        "engine/checkpoint.py",
        "except _OTHER_STATE as error:",
        "except ZeroDivisionError as error:",
        "engine/test_loop.py::test_a_checkpoint_with_other_contents_is_no_fault",
    ),
    Control(
        "S22",
        "run/new_folder.py",
        "path.mkdir(PRIVATE)",
        "path.mkdir()",
        "core/test_rights.py::test_a_new_folder_is_the_users_alone",
    ),
    Control(
        "S22",
        "core/rights.py",
        "        if reason:\n",
        "        if False:\n",
        "core/test_rights.py::test_what_all_users_can_write_is_not_resumed",
        "core/test_rights.py::test_what_another_user_owns_is_not_resumed",
    ),
    Control(
        "S23",
        "core/reading.py",
        "if stat.S_ISREG(os.fstat(descriptor).st_mode):",
        "if not stat.S_ISDIR(os.fstat(descriptor).st_mode):",
        "core/test_reading.py::test_a_file_of_a_run_is_a_regular_file",
    ),
    Control(
        "S23",
        "core/reading.py",
        "if max(size, len(content)) > limit:",
        "if False:",
        "core/test_reading.py::test_a_file_that_is_larger_than_its_limit_is_refused",
    ),
    Control(
        "S23",
        "compare/stored_arrays.py",
        "if unpacked > limits.ARRAYS:",
        "if False:",
        "core/test_reading.py::test_arrays_that_unpack_into_more_than_the_limit_are_refused",
    ),
]
