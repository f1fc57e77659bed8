"""After how long what lies in the bucket goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from vidsearch.aws.provision.bucket import owned, region_of_bucket
from vidsearch.aws.provision.names import RESULT_DAYS, UNFINISHED_DAYS, Names
from vidsearch.aws.provision.step import Drift, Json, Step, act, look, same
from vidsearch.aws.session import Clients


@dataclass(frozen=True)
class Lifecycle(Step):
    """Nothing stays in the bucket for good: rules for what lies under our own prefix. Other rules stay."""

    title: ClassVar[str] = "expiry"

    def sentence(self, names: Names) -> str:
        """Say after how long what goes."""
        return (
            f"What still lies under {names.footage} after {names.options.upload_days} days goes, under {names.results} "
            f"after {RESULT_DAYS} days, and an upload that was never finished after {UNFINISHED_DAYS} days"
        )

    def rules(self, names: Names) -> list[dict[str, Any]]:
        """Return our rules."""
        return [
            self._rule(names, "footage", names.footage, **_gone_after(names.options.upload_days)),
            self._rule(names, "results", names.results, **_gone_after(RESULT_DAYS)),
            self._rule(
                names,
                "unfinished",
                f"{names.prefix}/",
                AbortIncompleteMultipartUpload={"DaysAfterInitiation": UNFINISHED_DAYS},
            ),
        ]

    @staticmethod
    def _rule(names: Names, name: str, under: str, **what: Any) -> dict[str, Any]:
        return {"ID": f"{names.prefix}-{name}", "Status": "Enabled", "Filter": {"Prefix": under}, **what}

    def documents(self, names: Names) -> dict[str, Json]:
        """Show the rules."""
        return {self.title: self.rules(names)}

    def check(self, aws: Clients, names: Names) -> Drift | None:
        """Compare our rules only."""
        if region_of_bucket(aws, names) is None:
            return Drift("set with the bucket", absent=True)
        found = {rule.get("ID"): rule for rule in self._read(aws, names)}
        wrong = [
            rule["ID"]
            for rule in self.rules(names)
            if not same({key: found.get(rule["ID"], {}).get(key) for key in rule}, rule)
        ]
        return Drift(f"rules {', '.join(wrong)} are not as planned", absent=not found) if wrong else None

    def _read(self, aws: Clients, names: Names) -> list[dict[str, Any]]:
        read = aws("s3").get_bucket_lifecycle_configuration
        answer = look("read the bucket's expiry", read, **owned(names))
        return [_filtered(rule) for rule in answer["Rules"]] if answer else []

    def _theirs(self, aws: Clients, names: Names) -> list[dict[str, Any]]:
        ids = {rule["ID"] for rule in self.rules(names)}
        return [rule for rule in self._read(aws, names) if rule.get("ID") not in ids]

    def apply(self, aws: Clients, names: Names) -> None:
        """Set our rules beside those that are there."""
        self._put(aws, names, [*self._theirs(aws, names), *self.rules(names)])

    def _put(self, aws: Clients, names: Names, rules: list[dict[str, Any]]) -> None:
        put = aws("s3").put_bucket_lifecycle_configuration
        act("set the bucket's expiry", put, **owned(names), LifecycleConfiguration={"Rules": rules})

    def remains(self, aws: Clients, names: Names) -> str | None:
        """Tell of our rules in a bucket of yours; those of our own bucket go with it."""
        if not names.options.bucket or region_of_bucket(aws, names) is None:
            return None
        ours = len(self._read(aws, names)) - len(self._theirs(aws, names))
        return f"{ours} expiry rules in your bucket {names.bucket}" if ours else None

    def destroy(self, aws: Clients, names: Names) -> None:
        """Take our rules out of a bucket of yours."""
        if not self.remains(aws, names):
            return
        if rest := self._theirs(aws, names):
            self._put(aws, names, rest)
        else:
            act("end the bucket's expiry", aws("s3").delete_bucket_lifecycle, **owned(names))

    def resources(self, names: Names) -> dict[str, Json]:
        """Return our rules for a template, which cannot touch a bucket of yours."""
        if names.options.bucket:
            return {}
        rules = []
        for rule in self.rules(names):
            new: dict[str, Any] = {"Id": rule["ID"], "Status": "Enabled", "Prefix": rule["Filter"]["Prefix"]}
            if "Expiration" in rule:
                new["ExpirationInDays"] = rule["Expiration"]["Days"]
                new["NoncurrentVersionExpiration"] = rule["NoncurrentVersionExpiration"]
            else:
                new["AbortIncompleteMultipartUpload"] = rule["AbortIncompleteMultipartUpload"]
            rules.append(new)
        return {"Bucket": {"Properties": {"LifecycleConfiguration": {"Rules": rules}}}}


def _gone_after(days: int) -> dict[str, Any]:
    """Return what removes an object for good, also from a bucket that keeps versions of what was deleted."""
    return {"Expiration": {"Days": days}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}


def _filtered(rule: dict[str, Any]) -> dict[str, Any]:
    """Return a rule in S3's newer form: it takes no mixture of the two, and the older one means the same."""
    if "Filter" in rule or "Prefix" not in rule:
        return rule
    return {**{key: value for key, value in rule.items() if key != "Prefix"}, "Filter": {"Prefix": rule["Prefix"]}}
