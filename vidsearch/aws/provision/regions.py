"""Where Rekognition analyses stored video, and which partition a region belongs to."""

from __future__ import annotations

from vidsearch.errors import AwsNotSetUp, AwsRefused

STORED_VIDEO = {
    "ap-northeast-1": 5,
    "ap-northeast-2": 5,
    "ap-south-1": 5,
    "ap-southeast-1": 5,
    "ap-southeast-2": 5,
    "ap-southeast-5": 5,
    "ap-southeast-7": 5,
    "eu-central-1": 5,
    "eu-west-1": 20,
    "eu-west-2": 5,
    "sa-east-1": 5,
    "us-east-1": 20,
    "us-east-2": 5,
    "us-gov-west-1": 20,
    "us-west-1": 5,
    "us-west-2": 20,
}
"""Region -> calls of GetFaceSearch a second. The table "stored video get operations" of the AWS General Reference,
"Amazon Rekognition endpoints and quotas", as of November 2026. A region that opens later is added here."""

PICTURES_ONLY = ("ca-central-1", "eu-south-2", "il-central-1")
"""Rekognition is here, but that table leaves them out: stored video is not searched."""

_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}


def partition_of(region: str) -> str:
    """Return the partition of a region: the second word of its ARNs."""
    return next((name for start, name in _PARTITIONS.items() if region.startswith(start)), "aws")


def require_stored_video(region: str) -> None:
    """Raise AwsNotSetUp where no region is named, AwsRefused where it does not search stored video."""
    offered = ", ".join(STORED_VIDEO)
    if not region:
        raise AwsNotSetUp(f"name a region with --region; stored video is searched in {offered}")
    if region in STORED_VIDEO:
        return
    if partition_of(region) == "aws-cn":
        raise AwsRefused(f"Amazon Rekognition is not offered in China ({region}); use --engine local there")
    why = "has Rekognition for pictures only" if region in PICTURES_ONLY else "is not known to search stored video"
    raise AwsRefused(f"region {region} {why}; choose one of {offered}")
