"""The bucket that footage passes through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from vidsearch.aws.provision.names import Names
from vidsearch.aws.provision.step import Drift, Json, Resource, Step, act, look, pairs, patiently, unpaired
from vidsearch.aws.session import Clients
from vidsearch.errors import AwsDenied, AwsRefused


def owned(names: Names) -> dict[str, str]:
    """Return the arguments of every call: a bucket of that name that belongs to somebody else answers "denied"."""
    return {"Bucket": names.bucket, "ExpectedBucketOwner": names.account}


def region_of_bucket(aws: Clients, names: Names) -> str | None:
    """Return the bucket's region, or None where it does not exist. Raises AwsDenied where it is somebody else's."""
    try:
        answer = look(f"look at the bucket {names.bucket}", aws("s3").head_bucket, **owned(names))
    except AwsDenied as exc:
        raise AwsDenied(
            f"bucket {names.bucket} belongs to another account, or s3:ListBucket on it is missing: "
            f"{'name a bucket of yours with --bucket' if names.options.bucket else 'choose another --prefix'}"
        ) from exc
    if answer is None:
        return None
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    return str(answer.get("BucketRegion") or headers.get("x-amz-bucket-region") or names.region)


def refuse_other_region(region: str, names: Names) -> None:
    """Raise AwsRefused where the bucket is not where everything else is."""
    if region != names.region:
        raise AwsRefused(
            f"bucket {names.bucket} is in {region} and everything else would be in {names.region}; Rekognition needs "
            f"all in one region: run with --region {region}, or with a bucket in {names.region}"
        )


@dataclass(frozen=True)
class Bucket(Resource):
    """The bucket itself."""

    title: ClassVar[str] = "bucket"

    def label(self, names: Names) -> str:
        """Name it."""
        return f"bucket {names.bucket}"

    def sentence(self, names: Names) -> str:
        """Say what it is for."""
        return f"A bucket {names.bucket} in {names.region}, through which footage passes while it is searched"

    def tags(self, aws: Clients, names: Names) -> dict[str, str] | None:
        """Return its tags; refuse it where it is in another region."""
        region = region_of_bucket(aws, names)
        if region is None:
            return None
        refuse_other_region(region, names)
        answer = look("read the bucket's tags", aws("s3").get_bucket_tagging, **owned(names))
        return unpaired(answer["TagSet"]) if answer else {}

    def ours(self, aws: Clients, names: Names, tags: Mapping[str, str]) -> bool:
        """Take a bare bucket too: killed between making and tagging it, we left it empty and without tags."""
        return super().ours(aws, names, tags) or (not tags and not _holds(aws, names, limit=1)[0])

    def make(self, aws: Clients, names: Names) -> None:
        """Make the bucket."""
        arguments: dict[str, Any] = {"Bucket": names.bucket}
        if names.region != "us-east-1":
            arguments["CreateBucketConfiguration"] = {"LocationConstraint": names.region}
        patiently(f"make the bucket {names.bucket}", aws("s3").create_bucket, **arguments)
        self.tag(aws, names, names.tags)

    def tag(self, aws: Clients, names: Names, tags: Mapping[str, str]) -> None:
        """Add tags; S3 only sets all of them at once."""
        answer = look("read the bucket's tags", aws("s3").get_bucket_tagging, **owned(names))
        all_tags = {**(unpaired(answer["TagSet"]) if answer else {}), **tags}
        act("tag the bucket", aws("s3").put_bucket_tagging, **owned(names), Tagging={"TagSet": pairs(all_tags)})

    def in_the_way(self, aws: Clients, names: Names) -> str | None:
        """Tell of the objects that are still in it."""
        if not self.remains(aws, names):
            return None
        count, size = _holds(aws, names)
        return f"{self.label(names)} still holds {count} objects ({size / 1e6:.1f} MB)" if count else None

    def remove(self, aws: Clients, names: Names) -> None:
        """Empty the bucket and delete it."""
        for page in _pages(aws, names):
            objects = [
                {"Key": item["Key"], "VersionId": item["VersionId"]}
                for item in (*page.get("Versions", []), *page.get("DeleteMarkers", []))
            ]
            answer = act("empty the bucket", aws("s3").delete_objects, **owned(names), Delete={"Objects": objects})
            if refused := answer.get("Errors"):
                raise AwsRefused(f"cannot empty the bucket: {refused[0]['Key']} stays ({refused[0]['Code']})")
        act(f"delete the bucket {names.bucket}", aws("s3").delete_bucket, **owned(names))

    def resources(self, names: Names) -> dict[str, Json]:
        """Return it for a template."""
        properties = {"BucketName": names.bucket, "Tags": pairs(names.tags)}
        return {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}}


def _pages(aws: Clients, names: Names) -> Iterator[Any]:
    """Yield pages of what the bucket holds, versions included, each time from the start: the caller deletes them."""
    while True:
        page = act("list the bucket", aws("s3").list_object_versions, **owned(names))
        if not (page.get("Versions") or page.get("DeleteMarkers")):
            return
        yield page


def _holds(aws: Clients, names: Names, limit: int | None = None) -> tuple[int, int]:
    """Return (objects with their versions, bytes), counting at most ``limit``."""
    count = size = 0
    more: dict[str, Any] = {"MaxKeys": limit} if limit else {}
    while True:
        page = act("list the bucket", aws("s3").list_object_versions, **owned(names), **more)
        versions = page.get("Versions", [])
        count += len(versions) + len(page.get("DeleteMarkers", []))
        size += sum(item["Size"] for item in versions)
        if not page.get("IsTruncated") or (limit and count >= limit):
            return count, size
        more = {**more, "KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}


@dataclass(frozen=True)
class GivenBucket(Step):
    """A bucket of yours. It must be in the right place; nothing of it is changed but the expiry of our own objects."""

    title: ClassVar[str] = "your bucket"

    def sentence(self, names: Names) -> str:
        """Say what is checked."""
        return f"Your bucket {names.bucket} is in {names.region} and yours; its own settings stay as they are"

    def check(self, aws: Clients, names: Names) -> Drift | None:
        """Refuse a bucket that is missing, elsewhere, or somebody else's."""
        region = region_of_bucket(aws, names)
        if region is None:
            raise AwsRefused(f"there is no bucket {names.bucket}: check --bucket, or leave it out and one is made")
        refuse_other_region(region, names)
        return None

    def apply(self, aws: Clients, names: Names) -> None:
        """Do nothing: there is nothing of ours in it."""
