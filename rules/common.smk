# The study, and what every rule shares.
from functools import cache, lru_cache

from certifuse.base.errors import UserError
from certifuse.base.fingerprint import source_fingerprint
from certifuse.base.machine import require_writable
from certifuse.base.program import Program, directory_of_package
from certifuse.study import paths, targets, tasks
from certifuse.study.cells import SINGLE, WIDER
from certifuse.study.reading.configuration_file import read_configuration
from certifuse.study.settings.architectures import ARCHITECTURE_SETTINGS
from certifuse.study.settings.fusion import FUSIONS
from certifuse.study.settings.sublora import MODE_PATTERN
from certifuse.study.study import read_study

IS_MODULE = not workflow.modifier.is_main_snakefile()
DEFAULT_CONFIG = part("config/config.yaml")


def stop(error):
    """End with the lines of a mistake; a module of another workflow says its name."""
    sys.exit("\n".join(f"module {__name__}: {line}" if IS_MODULE else line for line in str(error).splitlines()))


try:
    for file in workflow.configfiles or [DEFAULT_CONFIG]:
        read_configuration(Path(file))
    if IS_MODULE:
        config = config or read_configuration(DEFAULT_CONFIG)
    if not isinstance(config, dict):
        raise UserError(f"config: expected a mapping of settings, found {type(config).__name__}")
except UserError as error:
    stop(error)

if not (IS_MODULE or workflow.overwrite_configfiles):

    configfile: DEFAULT_CONFIG


try:
    study = read_study(config, command_line=workflow.config_settings.config)
except UserError as error:
    stop(error)

R = study.results_dir
RESULTS = str(workflow.modifier.modify_path(R))  # where the `prefix:` of a module moves them
EXPERTS = [f"expert_{i}" for i in range(study.splits.experts)]
PYTHONPATH = [str(directory_of_package(LIBRARY)), *filter(None, [os.environ.get("PYTHONPATH")])]
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(PYTHONPATH), "CERTIFUSE_JOBS_PER_GPU": str(study.jobs_per_gpu)}


def program(script, launcher="python"):
    """The beginning of a step's command."""
    return Program(part(f"workflow/scripts/{script}.py"), ENVIRONMENT, launcher)


@lru_cache(maxsize=1)
def job(step, names):
    """The job of a step with these wildcards. Snakemake asks twice in a row: for its settings, and for its source."""
    return step.of(study, dict(names))


def settings_of(step):
    """The settings of a job of this step, as text: what its outputs depend on beside its inputs and its source."""
    return lambda wildcards: job(step, tuple(wildcards.items())).text


def source_of(step):
    """The fingerprint of all source that a job of this step uses; jobs that use the same share it."""
    script = part(f"workflow/scripts/{step.rule}.py")
    fingerprint = cache(lambda modules: source_fingerprint(script, modules))
    return lambda wildcards: fingerprint(job(step, tuple(wildcards.items())).modules())


def of_the_user(files):
    """Files that the study names and no job makes: they stay where they are, whatever a module's `prefix:` moves."""
    return [local(file) for file in files]
