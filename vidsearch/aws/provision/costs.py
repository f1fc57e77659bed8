"""What the set-up costs while nothing is searched."""

from __future__ import annotations

from vidsearch.aws.provision.names import Names


def idle(names: Names) -> list[str]:
    """Return what it costs when idle, in sentences."""
    said = ["Idle, bucket, topic, queues, roles and policies cost nothing."]
    if names.options.make_key:
        said.append("The KMS key costs $1.00 a month, and its calls about $0.03 per 10,000.")
    if names.options.function:
        said.append("The Lambda function costs nothing until it is called; a call costs a fraction of a cent.")
    said.append(
        "Enrolled faces cost $0.01 a month per 1,000 and footage on its way about $0.023 a month per GB; searching "
        "costs about $0.10 a minute of footage: `vidsearch estimate` says how much before anything is spent."
    )
    return said
