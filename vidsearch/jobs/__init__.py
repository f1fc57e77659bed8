"""The job machine: claim, step, move, with leases that outlive nobody."""

from vidsearch.jobs.manager import JobManager

__all__ = ["JobManager"]
