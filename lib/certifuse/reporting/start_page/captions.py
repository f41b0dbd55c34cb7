"""What each table of the start page shows, in the order of the page."""

TITLES = {"answers": "tests behind these answers", "hypotheses": "tests behind the answers on language models"}
MEANS = (
    "Means over the seeds; low and high are the ends of Student's t interval, empty for one seed. A row without "
    "numbers says why."
)
FUSION = {
    "results": f"Every cell of the grid on the test images: the fused network, the fused network averaged with its "
    f"experts, and its experts averaged. {MEANS} Calibrated: after temperature scaling fitted on validation images.",
    "comparison": "Every cell minus both averages of experts that were never fused, on the same test images: paired "
    "difference of top-1 accuracy, bootstrap interval over the test images (trained networks fixed) with its p-value "
    "before and after Holm's correction, and Student's t interval over the seeds. Seeds significant: by McNemar's "
    "exact test after Holm's correction.",
    "baselines": f"What was never fused, on the same test images. {MEANS}",
    "costs": "Cost of a prediction: parameters, and operations for one image, also as multiples of one expert's.",
    "answers": "Every test behind the answers. The estimate is subject minus what it stands beside, in points of top-1 "
    "accuracy. Beside the fine-tuned average it has a bootstrap interval over the test images and a t interval over "
    "the seeds; otherwise Student's t interval over the seeds, paired by seed. p holm is corrected for all tests of "
    "its question (of λ: of its subject too).",
    "training_costs": "Minutes that the epochs of everything that a predictor needs took, one training after the "
    "other. Times are those of this run.",
}
CERTIFICATES = {
    "certificates": "Every certificate: its sample, error, length of the code and certified error, which is rounded up "
    "and holds by itself with probability 1 − delta. Prior: the pre-trained experts, averaged, 0 bits. Subspace: "
    "trained in d dimensions, quantised and coded. Joint: the ordinary network. Held out: Clopper-Pearson bound on "
    "images that nothing was trained or selected on. Quoted: the best again, at the confidence left by that choice.",
    "certificate_ledger": "What the bits of the best certificate of each rule are spent on.",
    "crossings": "The smallest dimension whose certified error is below that of its 0-bit prior, or none; the margin "
    "is negative where training pays.",
}
LANGUAGE = {
    "summary_table": f"Every configuration. {MEANS} The published bound is for comparison; bounds are rounded up.",
    "hypotheses": "Every test behind the questions above. Estimates have Student's t interval over the seeds; p holm "
    "is corrected for all tests of its question.",
    "contrasts": "Differences between modes, paired by seed; negative: the mode is better.",
    "terms": "Risk, price of the draw and price of the bits, by the published inequality and by ours, on the same "
    "bitstreams.",
    "ledger": "What the bits of the best certificate of each budget and mode are spent on.",
}
MAIN = (
    "Every rule where rules are compared, beside what was never fused. Top-1 accuracy on the test images: mean over "
    "the seeds with Student's t interval. Minus the fine-tuned average: paired difference with its bootstrap interval "
    "over the test images. Times are those of this run."
)
HOW_DECIDED = (
    "Whether fusing is worth it is decided where the paired bootstrap over the test images is after Holm's correction "
    "and, with several seeds, the t interval over the seeds leaves out zero too. λ and rules are compared on the same "
    "test images by Student's test over the seeds, two-sided, after Holm's correction for all tests of a question; of "
    "one seed nothing is decided. Otherwise the data cannot tell, which is no evidence that there is no effect."
)
MISSING = "What the study asked for and has no result, with the reason."
