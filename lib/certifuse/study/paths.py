"""Path templates of everything, relative to a study's results directory, for rules and tools alike.

The names are those of the guides, with `.safetensors` for `.pth` and a level for the seed.
"""

CERTIFICATE_FILE = "certificate.json"
BITSTREAM_FILE = "model.cfqv"


IMAGES = "data/images.safetensors"
SPLITS = "splits/splits.safetensors"
SPLITS_SUMMARY = "splits/splits.json"

MEMBER = "experts/{architecture}/seed_{seed}/{member}_best.safetensors"
MEMBER_LOG = "csv_logs/{architecture}_experts/{architecture}_{member}_seed_{seed}_training_log.csv"
MEMBER_MANIFEST = "experts/{architecture}/seed_{seed}/{member}_manifest.json"

FINETUNED_DIR = "experts_finetuned/{architecture}/seed_{seed}"
FINETUNED_LOG = "csv_logs/{architecture}_experts/{architecture}_finetuned_seed_{seed}_training_log.csv"

CELL_DIR = "fusion_checkpoints/{architecture}_fusions_lambda_{lambda}/{fusion}/seed_{seed}"
CELL_LOG = "csv_logs/{architecture}_fusions/{architecture}_{fusion}_lambda_{lambda}_seed_{seed}_training_log.csv"

EXPERT_FILE = "experts/{architecture}_expert_{index}_lambda_{lambda}_best.safetensors"
FUSION_FILE = "fusion/{architecture}_{fusion}_lambda_{lambda}_fusion_best.safetensors"
HEAD_FILE = "global/{architecture}_{fusion}_lambda_{lambda}_global_head_best.safetensors"
COMPONENT_FOLDERS = ("experts", "fusion", "global")
COMPLETE_FILE = "complete_fusion_best.safetensors"
MANIFEST_FILE = "manifest.json"
FINETUNED_MANIFEST = f"{FINETUNED_DIR}/{MANIFEST_FILE}"

CELL_METRICS = "metrics/cells/{architecture}/{fusion}/lambda_{lambda}/seed_{seed}"
BASELINE_METRICS = "metrics/baselines/{architecture}/seed_{seed}"
PREDICTIONS_FILE = "predictions.safetensors"

SUBSPACE_DIR = "certificates/{architecture}_{fusion}_lambda_{lambda}/seed_{seed}/d_{d}"
LEVELS_DIR = "levels_{levels}"
SUBSPACE_LOG_DIR = "csv_logs/certificates/{architecture}_{fusion}_lambda_{lambda}/seed_{seed}/d_{d}"
JOINT_CERTIFICATE_DIR = "certificates/{architecture}_{fusion}_lambda_{lambda}/seed_{seed}/joint"
CERTIFICATES = "metrics/certificates.csv"
LEDGERS = "metrics/certificate_ledgers.csv"
MISSING_CERTIFICATES = "metrics/missing_certificates.csv"

CORPUS_DIR = "data/corpus"
SUBLORA_DIR = "sublora/d_{d}_{mode}_seed_{seed}"
SUBLORA_LOG_DIR = "csv_logs/sublora/d_{d}_{mode}_seed_{seed}"
SUBLORA_WEIGHTS = "weights.safetensors"
SUBLORA_LEVELS_WEIGHTS = "weights_levels_{levels}.safetensors"
SUBLORA_CERTIFICATE_DIR = f"{SUBLORA_DIR}/{LEVELS_DIR}"
NGRAM_DIR = "sublora/ngram_{ngram}"
SUBLORA_METRICS_FILE = "bounds_metrics.json"
SUBLORA_METRICS = "metrics/sublora.csv"
SUBLORA_TERMS = "metrics/sublora_terms.csv"
SUBLORA_TOP_K = "metrics/sublora_top_k.csv"
SUBLORA_GATES = "metrics/sublora_gates.csv"
SUBLORA_LEDGERS = "metrics/sublora_ledgers.csv"
SUBLORA_LOGS = "metrics/sublora_logs.csv"
MISSING_SUBLORA = "metrics/missing_sublora.csv"
MISSING_GATES = "metrics/missing_sublora_gates.csv"

SUMMARY = "metrics/fusion_performance_summary.csv"
"""Every score of every predictor, one tidy row each."""

LOGS = "metrics/training_logs.csv"
CALIBRATION = "metrics/calibration.csv"
PER_CLASS = "metrics/per_class.csv"
MISSING = "metrics/missing.csv"
COSTS = "metrics/costs.csv"
COMPARISON = "metrics/paired_comparisons.csv"

RESUME_DIR = ".resume"
"""State of unfinished runs: never declared to Snakemake, which would delete it before a retry."""


def cell_expert(index: int) -> str:
    """The file of expert `index` inside a cell's directory, with the other fields left open."""
    return EXPERT_FILE.replace("{index}", str(index))


def finetuned_expert(index: int) -> str:
    """The file of expert `index` inside the directory of the fine-tuned experts."""
    return cell_expert(index).replace("{lambda}", "none")
