"""Choose settings on validation rows, then judge them once:  python tune.py experiment=sp500 trials=30"""

from omegaconf import DictConfig

from runtime.command_line import Usage, run_command
from runtime.settings import whole

USAGE = Usage(
    "Choose settings on validation rows, then judge the best once on the test rows, with the audit:\n"
    "  python tune.py experiment=sp500 model=lstm search=default trials=30 jobs=2\n\n"
    "Further words are those of train.py, and hold for every trial.  The same command goes on with a study that was\n"
    "stopped or killed; a larger number of trials adds to it.  Several machines can share one storage.",
    {
        "search": "<a choice of conf/search: what is tried, from what range; default is what fits the model>",
        "trials": "<number of trials that are to end by themselves; 30>",
        "jobs": "<trials side by side, one thread each; -1 is one per core; 1>",
        "storage": "<address of the data base; sqlite:///outputs/EXPERIMENT/tune/study.db>",
        "study": "<name of the study; else of experiment, search, and a hash of all settings>",
    },
    required=(),
    rules={"trials": whole(1, 1_000_000), "jobs": whole(-1, 4096)},
    train=True,
)


def main(given: DictConfig) -> None:
    """Run the trials that are missing, print what they have shown and judge the best setting."""
    from pipeline.tuning.plan import judged, planned, shown
    from pipeline.tuning.trials import run_trials
    from report.page import write_page
    from runtime.quiet import console, quiet

    quiet()
    out = console()
    plan, folder = planned(given)
    out.print(f"Study {plan.study} in {plan.storage}", highlight=False, markup=False, soft_wrap=True)
    run_trials(plan, int(given.get("jobs", 1)), lambda said: out.print(said, highlight=False, markup=False))
    shown(plan, out)
    run = judged(plan, folder, out)
    out.print(f"The trials are part of {write_page(run)}", highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    run_command(main, USAGE)
