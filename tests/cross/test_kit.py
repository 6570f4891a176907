"""The conformance kit passes sound modalities and catches broken ones."""

import ast
from pathlib import Path

import pytest

from ddcore.testing import ProblemConformance

HERE = Path(__file__).parent
BROKEN = HERE / "broken.py"

CAUGHT = {
    "TestDetached": "test_every_parameter_reaches_the_loss",
    "TestOtherGroup": "test_a_set_has_the_rows_it_was_asked_for",
    "TestForgetful": "test_a_set_is_stored_and_restored",
    "TestImpure": "test_a_training_step_is_a_function_of_its_number_and_seed",
    "TestWrongDerivative": "test_gradients_equal_finite_differences",
    "TestMisfiled": "test_a_set_has_the_rows_it_was_asked_for",
    "TestLeaking": "test_splits_are_disjoint_and_groups_part_the_training_rows",
    "TestNoise": "test_real_rows_teach_a_fresh_network",
    "TestGlobalAugmentation": "test_augmentations_are_functions_of_their_seed",
    "TestConstantAugmentation": "test_augmentations_are_functions_of_their_seed",
    "TestAugmentationPerRow": "test_a_matching_augmentation_is_one_record_for_the_batch",
    "TestGlobalCorruption": "test_corruptions_change_rows_and_keep_their_targets",
    "TestNoCorruption": "test_corruptions_change_rows_and_keep_their_targets",
    "TestFewerRows": "test_corruptions_change_rows_and_keep_their_targets",
    "TestRelabelled": "test_corruptions_change_rows_and_keep_their_targets",
    "TestReduced": "test_losses_are_of_single_rows",
    "TestAveraged": "test_losses_are_of_single_rows",
    "TestUnreduced": "test_losses_are_of_single_rows",
    "TestMeanOfBatches": "test_scores_are_of_the_whole_split",
    "TestTwoTables": "test_models_agree_about_the_input_space",
    "TestTwoWidths": "test_models_agree_about_the_input_space",
    "TestSeedless": "test_same_seed_same_model",
    "TestRestless": "test_several_threads_train_the_same_network_twice",
    "TestHeavyEntry": "test_the_entry_module_imports_nothing_heavy",
    "TestUnnamedEntry": "test_the_entry_module_imports_nothing_heavy",
    "TestTypoEntry": "test_every_entry_loads",
    "TestMissingTarget": "test_every_entry_loads",
    "TestExcusedForNothing": "test_same_seed_same_model",
}

SOUND = ("TestSound", "TestText", "TestExcused")


class Recorder:
    """What pytest reports: (class, check) -> outcome and message."""

    def __init__(self) -> None:
        self.outcomes: dict[tuple[str, str], tuple[str, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome == "failed":
            _, owner, check = report.nodeid.split("::")
            self.outcomes[owner, check.partition("[")[0]] = (report.outcome, report.longreprtext)


@pytest.fixture(scope="module")
def outcomes() -> dict[tuple[str, str], tuple[str, str]]:
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE.parent / "plugins" / "fixtures")
        checks = [
            *(f"{BROKEN}::{owner}::{check}" for owner, check in CAUGHT.items()),
            *(f"{BROKEN}::{o}" for o in SOUND),
        ]
        pytest.main(["-q", "-p", "no:cacheprovider", "--import-mode=importlib", *checks], [recorder])
    return recorder.outcomes


@pytest.mark.parametrize("owner", CAUGHT)
def test_a_broken_modality_is_caught(owner: str, outcomes: dict[tuple[str, str], tuple[str, str]]):
    assert outcomes[owner, CAUGHT[owner]][0] == "failed"


@pytest.mark.parametrize("owner", SOUND)
def test_a_sound_modality_passes(owner: str, outcomes: dict[tuple[str, str], tuple[str, str]]):
    found = {check: result for (name, check), result in outcomes.items() if name == owner}
    assert len(found) > 20
    assert not {check: text for check, (outcome, text) in found.items() if outcome == "failed"}


def test_every_fixture_is_looked_at(outcomes: dict[tuple[str, str], tuple[str, str]]):
    written = {node.name for node in ast.parse(BROKEN.read_text()).body if isinstance(node, ast.ClassDef)}
    there = {name for name in written if name.startswith("Test")}
    assert {owner for owner, _ in outcomes} == there == {*CAUGHT, *SOUND}


def test_a_failure_says_what_is_wrong(outcomes: dict[tuple[str, str], tuple[str, str]]):
    said = {owner: outcomes[owner, check][1] for owner, check in CAUGHT.items()}
    assert "reaches ['x']: `take` must not detach" in said["TestDetached"]
    assert "the same to ['reader'] and not to ['other']" in said["TestTwoTables"]
    assert "narrow cannot read the batch" in said["TestTwoWidths"]
    assert "restless is another network every time" in said["TestRestless"]
    assert "unharmed changes nothing" in said["TestNoCorruption"]
    assert "fewer changes the number of rows" in said["TestFewerRows"]
    assert "relabelled changes the targets" in said["TestRelabelled"]
    assert "heavy_plugin imports numpy, torch" in said["TestHeavyEntry"]
    assert "XPASS(strict)" in said["TestExcusedForNothing"]


def test_an_expected_failure_needs_a_reason_and_a_check():
    with pytest.raises(TypeError, match="say why test_same_seed_same_model cannot pass"):
        type("Mute", (ProblemConformance,), {"expected_failures": {"test_same_seed_same_model": " "}})
    with pytest.raises(TypeError, match="the kit has no check 'test_everything'"):
        type("Odd", (ProblemConformance,), {"expected_failures": {"test_everything": "because"}})
