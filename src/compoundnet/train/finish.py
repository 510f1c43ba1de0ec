"""The end of a training: judge what was held out, and leave the model, the report and the record."""

import torch

from compoundnet.costs import cost
from compoundnet.evaluate import (
    Evaluation,
    Mistake,
    ReportInput,
    evaluate_logits,
    most_confident_mistakes,
    write_report,
)
from compoundnet.evaluate.inference import outputs
from compoundnet.nn import folded
from compoundnet.nn.comparators import AnyModule
from compoundnet.train.job import RunJob
from compoundnet.train.loop import check_logits
from compoundnet.train.record import make_record, splits

__all__ = ["finish"]


def finish(network: AnyModule, job: RunJob) -> None:
    """Evaluate the held-out splits; write the model, the report and, last, the record that says it is finished."""
    evaluations, mistakes = _judge(network, job)
    record = make_record(job, "finished", evaluations={name: e.to_json() for name, e in evaluations.items()})
    job.folder.write_weights(network.state_dict(), job.plan.classes, job.plan.preprocessing)
    report = ReportInput(
        title=f"{job.architecture.name} on {job.dataset.name}",
        architecture=job.architecture,
        cost=cost(job.architecture),
        evaluations=evaluations,
        history=job.folder.read_metrics(),
        mistakes=mistakes,
        recipe=job.plan.recipe.to_json(),
        data=record["data"],
        versions=record["versions"],
        weights=None if job.weights is None else job.weights.source,
        preprocessing=job.plan.preprocessing,
    )
    write_report(job.folder.report_file, report)
    job.folder.write_record(record)


def _judge(network: AnyModule, job: RunJob) -> tuple[dict[str, Evaluation], tuple[Mistake, ...]]:
    """Evaluations, test before validation, and the mistakes of the first."""
    fast = folded(network).to(memory_format=torch.channels_last)
    plan, evaluations, mistakes = job.plan, {}, []
    for name, split in reversed(splits(job.dataset).items()):
        if name == "train" or not len(split):
            continue
        logits = outputs(
            fast, split, plan.preprocessing, batch_size=plan.batch_size, device=plan.device, workers=plan.workers,
            progress=job.progress(f"evaluating {name} images"),
        )  # fmt: skip
        check_logits(logits)
        labels = torch.tensor(split.labels)
        evaluations[name] = evaluate_logits(logits, labels, plan.classes)
        mistakes.append(most_confident_mistakes(logits, labels, split.files, plan.classes))
    return evaluations, mistakes[0] if mistakes else ()
