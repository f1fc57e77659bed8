"""Every attribute broken one by one is found and repaired; what is as planned is left alone."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.aws.site import ACCOUNT, READING, Site, policy_of
from vidsearch.aws.provision import policies, proof, step
from vidsearch.aws.provision.access import RuntimePolicy
from vidsearch.aws.provision.key import Key
from vidsearch.aws.provision.messages import Queue
from vidsearch.aws.provision.names import OWN_TAG
from vidsearch.aws.provision.roles import GivenRole
from vidsearch.aws.provision.subscription import Subscription
from vidsearch.aws.session import Clients
from vidsearch.errors import AwsDenied, AwsRefused

Breaking = Callable[[Site], object]


def bucket(call: str, **arguments: object) -> Breaking:
    return lambda site: getattr(site.aws("s3"), call)(Bucket=site.names.bucket, **arguments)


def queue(name: str, value: str, dead: bool = False) -> Breaking:
    def break_it(site: Site) -> None:
        which = site.names.dead if dead else site.names.queue
        url = site.aws("sqs").get_queue_url(QueueName=which)["QueueUrl"]
        # All of them at once: moto forgets the policy when it is not among them.
        kept = {key: text for key, text in site.attributes(which).items() if key in ("Policy", "RedrivePolicy")}
        site.aws("sqs").set_queue_attributes(QueueUrl=url, Attributes={**kept, name: value})

    return break_it


def topic(name: str, value: str) -> Breaking:
    return lambda site: site.aws("sns").set_topic_attributes(
        TopicArn=site.names.topic_arn, AttributeName=name, AttributeValue=value
    )


def subscription(name: str, value: str) -> Breaking:
    return lambda site: site.aws("sns").set_subscription_attributes(
        SubscriptionArn=site.subscription(), AttributeName=name, AttributeValue=value
    )


def other_lifecycle(site: Site) -> None:
    rule = {"ID": "mine", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 1}}
    site.aws("s3").put_bucket_lifecycle_configuration(
        Bucket=site.names.bucket, LifecycleConfiguration={"Rules": [rule]}
    )


def wider_policy(site: Site) -> None:
    site.aws("iam").create_policy_version(
        PolicyArn=site.names.policy_arn, PolicyDocument=everything(), SetAsDefault=True
    )


def full_of_versions(site: Site) -> None:
    while len(site.aws("iam").list_policy_versions(PolicyArn=site.names.policy_arn)["Versions"]) < 5:
        wider_policy(site)


def everything() -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


OTHER_OWNERSHIP = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
OTHER_DEAD = json.dumps({"deadLetterTargetArn": f"arn:aws:sqs:eu-west-1:{ACCOUNT}:other"})

BREAKINGS: dict[str, Breaking] = {
    "bucket gone": bucket("delete_bucket"),
    "a tag lost": bucket("put_bucket_tagging", Tagging={"TagSet": [{"Key": OWN_TAG, "Value": "lasting"}]}),
    "public access": bucket("delete_public_access_block"),
    "half public access": bucket(
        "put_public_access_block", PublicAccessBlockConfiguration={"BlockPublicAcls": True, "IgnorePublicAcls": True}
    ),
    "ownership": bucket("put_bucket_ownership_controls", OwnershipControls=OTHER_OWNERSHIP),
    "no ownership": bucket("delete_bucket_ownership_controls"),
    "no encryption": bucket("delete_bucket_encryption"),
    "bucket policy": lambda site: site.aws("s3").put_bucket_policy(Bucket=site.names.bucket, Policy=policy_of("s3")),
    "no bucket policy": bucket("delete_bucket_policy"),
    "no expiry": bucket("delete_bucket_lifecycle"),
    "other expiry": other_lifecycle,
    "topic gone": lambda site: site.aws("sns").delete_topic(TopicArn=site.names.topic_arn),
    "topic policy": topic("Policy", policy_of("sns")),
    "topic encrypted": topic("KmsMasterKeyId", "alias/aws/sns"),
    "topic tag": lambda site: site.aws("sns").untag_resource(ResourceArn=site.names.topic_arn, TagKeys=["team"]),
    "queue gone": lambda site: site.aws("sqs").delete_queue(QueueUrl=site.queue_url),
    "queue retention": queue("MessageRetentionPeriod", "60"),
    "queue poll": queue("ReceiveMessageWaitTimeSeconds", "0"),
    "queue visibility": queue("VisibilityTimeout", "1"),
    "queue delay": queue("DelaySeconds", "900"),
    "queue policy": queue("Policy", policy_of("sqs")),
    "queue encrypted": queue("KmsMasterKeyId", "alias/aws/sqs"),
    "queue plain": queue("SqsManagedSseEnabled", "false"),
    "queue without dead letters": queue("RedrivePolicy", ""),
    "queue tag": lambda site: site.aws("sqs").untag_queue(QueueUrl=site.queue_url, TagKeys=["team"]),
    "dead queue gone": lambda site: site.aws("sqs").delete_queue(
        QueueUrl=site.aws("sqs").get_queue_url(QueueName=site.names.dead)["QueueUrl"]
    ),
    "dead queue retention": queue("MessageRetentionPeriod", "60", dead=True),
    "dead queue policy": queue("Policy", policy_of("sqs"), dead=True),
    "unsubscribed": lambda site: site.aws("sns").unsubscribe(SubscriptionArn=site.subscription()),
    "raw messages": subscription("RawMessageDelivery", "true"),
    "messages filtered": subscription("FilterPolicy", json.dumps({"kind": ["other"]})),
    "no dead letters of the subscription": subscription("RedrivePolicy", OTHER_DEAD),
    "role trust": lambda site: site.aws("iam").update_assume_role_policy(
        RoleName=site.names.role, PolicyDocument=trust("ec2.amazonaws.com")
    ),
    "role policy": lambda site: site.aws("iam").put_role_policy(
        RoleName=site.names.role, PolicyName="publish-completions", PolicyDocument=everything()
    ),
    "no role policy": lambda site: site.aws("iam").delete_role_policy(
        RoleName=site.names.role, PolicyName="publish-completions"
    ),
    "role tag": lambda site: site.aws("iam").untag_role(RoleName=site.names.role, TagKeys=["team"]),
    "runtime policy": wider_policy,
    "runtime policy, all versions taken": full_of_versions,
    "runtime policy tag": lambda site: site.aws("iam").untag_policy(PolicyArn=site.names.policy_arn, TagKeys=["team"]),
}  # fmt: skip


@pytest.mark.parametrize("break_it", BREAKINGS.values(), ids=BREAKINGS)
def test_what_drifted_is_found_and_repaired(lasting_site: Site, break_it: Breaking):
    site = lasting_site
    break_it(site)
    site.apply()
    assert site.told
    assert site.left() == []


def test_a_second_run_changes_nothing(site: Site):
    site.apply()
    assert site.told == []
    assert site.aws.changes() == []


@pytest.mark.parametrize(
    "options",
    [
        {"make_key": True},
        {"function": True},
        {"make_key": True, "function": True, "boundary": "arn:aws:iam::aws:policy/PowerUserAccess"},
    ],
    ids=["key", "function", "all"],
)
def test_a_second_run_changes_nothing_with_options(make_site: Callable[..., Site], options: dict[str, object]):
    site = make_site(**options)
    site.apply()
    site.apply()
    assert site.aws.changes() == []


def test_a_subscription_that_was_ended_is_made_anew(site: Site):
    ended = {"SubscriptionArn": "Deleted", "Endpoint": site.names.queue_arn, "Protocol": "sqs", "Owner": ACCOUNT}
    with site.aws.answering("sns") as stub:
        for _ in range(2):
            stub.add_response("list_subscriptions_by_topic", {"Subscriptions": [ended]})
        found = Subscription().check(site.aws, site.names)
        assert found is not None
        assert found.absent
        arn = f"{site.names.topic_arn}:new"
        stub.add_response("subscribe", {"SubscriptionArn": arn})
        as_wanted = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": site.names.dead_arn})}
        stub.add_response("get_subscription_attributes", {"Attributes": as_wanted}, {"SubscriptionArn": arn})
        Subscription().apply(site.aws, site.names)
        stub.assert_no_pending_responses()


def test_only_what_drifted_is_touched(site: Site):
    queue("VisibilityTimeout", "1")(site)
    site.apply()
    assert [title for title, _ in site.told] == ["queue"]
    assert site.aws.changes() == [("sqs", "SetQueueAttributes")]


def test_other_rules_of_the_bucket_stay(site: Site):
    other_lifecycle(site)
    site.apply()
    rules = site.aws("s3").get_bucket_lifecycle_configuration(Bucket=site.names.bucket)["Rules"]
    assert {rule["ID"] for rule in rules} == {
        "mine",
        *(f"{site.names.prefix}-{name}" for name in ("footage", "results", "unfinished")),
    }


def test_a_key_is_repaired(make_site: Callable[..., Site]):
    site = make_site(make_key=True)
    learnt = site.apply()
    kms = site.aws("kms")
    kms.disable_key_rotation(KeyId=learnt.key)
    kms.disable_key(KeyId=learnt.key.rpartition("/")[2])
    kms.put_key_policy(KeyId=learnt.key, PolicyName="default", Policy=policy_of("kms"))
    kms.untag_resource(KeyId=learnt.key, TagKeys=["team"])
    assert len(site.drifts()) == 1
    site.apply()
    assert site.drifts() == []
    kms.schedule_key_deletion(KeyId=learnt.key.rpartition("/")[2])
    assert "about to be deleted" in site.drifts()[0]
    site.apply()
    assert site.drifts() == []


def test_encryption_with_a_key_reaches_bucket_topic_queues_and_policies(make_site: Callable[..., Site]):
    site = make_site(make_key=True)
    learnt = site.apply()
    s3, sns = site.aws("s3"), site.aws("sns")
    rule = s3.get_bucket_encryption(Bucket=learnt.bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": learnt.key}
    assert rule["BucketKeyEnabled"]
    assert sns.get_topic_attributes(TopicArn=learnt.topic_arn)["Attributes"]["KmsMasterKeyId"] == learnt.key
    for name in (learnt.queue, learnt.dead):
        assert site.attributes(name)["KmsMasterKeyId"] == learnt.key
    role = site.aws("iam").get_role_policy(RoleName=learnt.role, PolicyName="publish-completions")["PolicyDocument"]
    assert learnt.key in json.dumps(role)
    assert learnt.key.startswith("arn:aws:kms:eu-west-1:")


def test_a_queue_gets_a_key_after_its_other_encryption_ended(make_site: Callable[..., Site]):
    site = make_site(make_key=True)
    learnt = site.apply()
    dead = Queue(dead=True)
    wanted = dead.attributes(learnt).items()
    found = {name: value if isinstance(value, str) else step.text(value) for name, value in wanted}
    del found["KmsMasterKeyId"]
    with site.aws.answering("sqs") as stub:
        url = {"QueueUrl": "https://sqs/dead"}
        stub.add_response("get_queue_url", url)
        stub.add_response("get_queue_url", url)
        stub.add_response("get_queue_attributes", {"Attributes": {**found, "SqsManagedSseEnabled": "true"}})
        stub.add_response("set_queue_attributes", {}, {**url, "Attributes": {"SqsManagedSseEnabled": "false"}})
        stub.add_response("set_queue_attributes", {}, {**url, "Attributes": {**found, "KmsMasterKeyId": learnt.key}})
        dead.repair(site.aws, learnt)
        stub.assert_no_pending_responses()


def test_a_queue_that_is_not_known_everywhere_yet_has_nothing_to_repair(make_site: Callable[..., Site]):
    site = make_site()
    with site.aws.answering("sqs") as stub:
        stub.add_client_error("get_queue_url", "AWS.SimpleQueueService.NonExistentQueue", "does not exist")
        stub.add_response("create_queue", {"QueueUrl": "https://x"})
        for _ in range(2):
            stub.add_client_error("get_queue_url", "AWS.SimpleQueueService.NonExistentQueue", "does not exist")
        Queue().apply(site.aws, site.names)
        stub.assert_no_pending_responses()


def test_giving_up_the_key_is_repaired_too(make_site: Callable[..., Site]):
    site = make_site(make_key=True)
    site.apply()
    plain = make_site(prefix=site.names.prefix)
    plain.apply()
    assert plain.drifts() == []
    assert not plain.attributes().get("KmsMasterKeyId")
    assert plain.attributes()["SqsManagedSseEnabled"] == "true"


def test_a_killed_run_is_gone_on_with(make_site: Callable[..., Site]):
    """The bucket exists and has not been tagged: made here, or it would have tags or something in it."""
    site = make_site()
    site.aws("s3").create_bucket(
        Bucket=site.names.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    site.apply()
    assert site.drifts() == []


class KilledError(Exception):
    """The end of a run that was cut short."""


def test_killed_after_any_call_it_is_gone_on_with(make_site: Callable[..., Site]):
    """Each run dies after the first thing it changes; in the end all is there, once."""
    site = make_site(make_key=True)
    changed: list[str] = []

    def die(model: Any, **_: Any) -> None:
        if not model.name.startswith(READING):
            changed.append(model.name)
            raise KilledError

    services = ("s3", "sns", "sqs", "iam", "kms")
    for service in services:
        site.aws(service).meta.events.register("after-call", die)
    try:
        for _ in range(60):
            try:
                site.apply()
                break
            except KilledError:
                continue
    finally:
        for service in services:
            site.aws(service).meta.events.unregister("after-call", die)
    assert site.drifts() == []
    assert len(changed) > 15
    assert [changed.count(name) for name in ("CreateKey", "CreateBucket", "CreateRole", "Subscribe")] == [1] * 4


def test_a_stranger_of_the_same_name_is_left_alone(make_site: Callable[..., Site]):
    site = make_site()
    url = site.aws("sqs").create_queue(QueueName=site.names.queue, tags={"owner": "somebody"})["QueueUrl"]
    with pytest.raises(AwsRefused, match=f"queue {site.names.queue} is there already .* choose another --prefix"):
        site.apply()
    assert site.aws("sqs").list_queue_tags(QueueUrl=url)["Tags"] == {"owner": "somebody"}


def test_a_bucket_of_the_same_name_with_something_in_it_is_left_alone(make_site: Callable[..., Site]):
    site = make_site()
    s3 = site.aws("s3")
    s3.create_bucket(Bucket=site.names.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=site.names.bucket, Key="theirs", Body=b"x")
    with pytest.raises(AwsRefused, match="left alone"):
        site.apply()


def test_a_bucket_elsewhere_is_refused(make_site: Callable[..., Site], moto_url: str, monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    site = make_site()
    other = f"theirs-{site.names.prefix}"
    with contextlib.closing(Clients("eu-central-1", endpoints={"s3": moto_url})) as elsewhere:
        where = {"LocationConstraint": "eu-central-1"}
        elsewhere("s3").create_bucket(Bucket=other, CreateBucketConfiguration=where)
    given = make_site(bucket=other)
    with pytest.raises(AwsRefused, match=r"is in eu-central-1 and .*--region eu-central-1"):
        given.apply()
    assert given.aws.changes() == []


def test_a_bucket_of_somebody_else_is_refused(make_site: Callable[..., Site]):
    site = make_site(bucket="not-ours")
    with site.aws.answering("s3") as stub:
        stub.add_client_error("head_bucket", "403", "Forbidden", 403)
        with pytest.raises(AwsDenied, match="belongs to another account"):
            site.apply()


def test_what_settles_is_waited_for(make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch):
    site = make_site()
    waited: list[float] = []
    monkeypatch.setattr(step, "sleep", waited.append)
    with site.aws.answering("sqs") as stub:
        for code in ("QueueDeletedRecently", "QueueDeletedRecently"):
            stub.add_client_error("create_queue", code, "wait 60 seconds")
        stub.add_response("create_queue", {"QueueUrl": "https://x"})
        Queue().make(site.aws, site.names)
    assert len(waited) == 2
    monkeypatch.setattr(step, "PATIENCE_S", -1)
    with site.aws.answering("sqs") as stub:
        stub.add_client_error("create_queue", "QueueDeletedRecently", "wait 60 seconds")
        with pytest.raises(AwsRefused, match="wait 60 seconds"):
            Queue().make(site.aws, site.names)


def test_a_new_key_is_waited_for_until_its_name_is_known(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
):
    site = make_site(make_key=True)
    waited: list[float] = []
    monkeypatch.setattr(step, "sleep", waited.append)
    arn = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/new"
    with site.aws.answering("kms") as stub:
        stub.add_response("list_keys", {"Keys": []})
        stub.add_response("create_key", {"KeyMetadata": {"KeyId": "new", "Arn": arn}})
        stub.add_response("create_alias", {})
        stub.add_client_error("describe_key", "NotFoundException", "Alias is not found")
        stub.add_response("describe_key", {"KeyMetadata": {"KeyId": "new", "Arn": arn}})
        Key().make(site.aws, site.names)
        stub.assert_no_pending_responses()
    assert len(waited) == 1


def test_a_missing_permission_is_named(make_site: Callable[..., Site]):
    site = make_site()
    with site.aws.answering("s3") as stub:
        for call in ("head_bucket", "head_bucket"):
            stub.add_client_error(call, "404", "Not Found", 404)
        stub.add_client_error("create_bucket", "AccessDenied", "Access Denied", 403)
        with pytest.raises(AwsDenied, match=r"s3:CreateBucket is missing; .*--print-provisioner-policy"):
            site.apply()


def test_a_name_that_is_taken_says_so(make_site: Callable[..., Site]):
    site = make_site()
    with site.aws.answering("s3") as stub:
        for call in ("head_bucket", "head_bucket"):
            stub.add_client_error(call, "404", "Not Found", 404)
        stub.add_client_error("create_bucket", "BucketAlreadyExists", "not available", 409)
        with pytest.raises(AwsRefused, match="another --prefix"):
            site.apply()


def test_a_bucket_that_is_not_there_is_refused(make_site: Callable[..., Site]):
    with pytest.raises(AwsRefused, match="there is no bucket never-made: check --bucket"):
        make_site(bucket="never-made").apply()


def test_a_bucket_of_yours_gets_nothing_but_expiry(make_site: Callable[..., Site]):
    site = make_site()
    s3, mine = site.aws("s3"), f"mine-{site.names.prefix}"
    s3.create_bucket(Bucket=mine, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    old = {"ID": "old", "Status": "Enabled", "Prefix": "x/", "Expiration": {"Days": 3}}
    s3.put_bucket_lifecycle_configuration(Bucket=mine, LifecycleConfiguration={"Rules": [old]})
    given = make_site(bucket=mine, prefix=site.names.prefix)
    given.apply()
    assert {call for call in given.aws.changes() if call[0] == "s3"} == {("s3", "PutBucketLifecycleConfiguration")}
    rules = s3.get_bucket_lifecycle_configuration(Bucket=mine)["Rules"]
    for rule in (one for one in rules if "Expiration" in one and one["ID"] != "old"):
        # It may keep versions, and footage that was deleted is to go from there too.
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    given.remove()
    rules = s3.get_bucket_lifecycle_configuration(Bucket=mine)["Rules"]
    assert [rule["ID"] for rule in rules] == ["old"]
    assert s3.head_bucket(Bucket=mine)


def test_the_policy_goes_to_whom_it_is_for(make_site: Callable[..., Site]):
    site = make_site(attach_to="user:investigator")
    with pytest.raises(AwsRefused, match="there is no IAM user investigator: check --attach-to"):
        site.apply()
    iam = site.aws("iam")
    iam.create_user(UserName="investigator")
    site.apply()
    held = iam.list_attached_user_policies(UserName="investigator")["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in held] == [site.names.policy_arn]
    iam.detach_user_policy(UserName="investigator", PolicyArn=site.names.policy_arn)
    assert site.drifts() == ["it does not have it"]
    site.apply()
    site.remove()
    assert iam.list_attached_user_policies(UserName="investigator")["AttachedPolicies"] == []
    assert iam.get_user(UserName="investigator")
    iam.delete_user(UserName="investigator")


def test_a_boundary_is_put_back(make_site: Callable[..., Site]):
    site = make_site(boundary="arn:aws:iam::aws:policy/PowerUserAccess")
    site.apply()
    iam = site.aws("iam")
    assert iam.get_role(RoleName=site.names.role)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
    iam.delete_role_permissions_boundary(RoleName=site.names.role)
    assert "permissions boundary" in site.drifts()[0]
    site.apply()
    assert site.drifts() == []


# -- a role of yours -----------------------------------------------------------------------------------------------


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_role_of_yours_is_looked_at_and_left_alone(make_site: Callable[..., Site]):
    site = make_site()
    iam, name = site.aws("iam"), f"yours-{site.names.prefix}"
    arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    given = make_site(role=arn, prefix=site.names.prefix)
    with pytest.raises(AwsRefused, match="there is no role"):
        given.apply()
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
    with pytest.raises(AwsRefused, match="may not take the role"):
        given.apply()
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust("rekognition.amazonaws.com"))
    with pytest.raises(AwsRefused, match="sns:Publish"):
        given.apply()
    iam.put_role_policy(RoleName=name, PolicyName="any", PolicyDocument=policy_of("sns"))
    given.apply()
    assert not [call for call in given.aws.changes() if "Role" in call[1]]
    given.remove()
    assert iam.get_role(RoleName=name)


def test_a_role_of_another_account_is_refused(make_site: Callable[..., Site]):
    with pytest.raises(AwsRefused, match="another account"):
        make_site(role="arn:aws:iam::999999999999:role/x").apply()


def test_a_role_that_may_not_be_looked_at_is_believed(make_site: Callable[..., Site]):
    site = make_site(role=f"arn:aws:iam::{ACCOUNT}:role/hidden")
    with site.aws.answering("iam") as stub:
        stub.add_client_error("get_role", "AccessDenied", "not authorized to perform: iam:GetRole", 403)
        assert GivenRole().check(site.aws, site.names) is None


def test_a_role_whose_policies_may_not_be_read_is_believed(make_site: Callable[..., Site]):
    site = make_site()
    iam, name = site.aws("iam"), f"yours-{site.names.prefix}"
    given = make_site(role=f"arn:aws:iam::{ACCOUNT}:role/{name}", prefix=site.names.prefix)
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust("rekognition.amazonaws.com"))
    any_policy = iam.create_policy(PolicyName=name, PolicyDocument=policy_of("kinesis"))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=any_policy)

    def deny(**_: object) -> None:
        raise AwsDenied("iam:GetPolicy is missing")

    iam.meta.events.register("before-call.iam.GetPolicy", deny)
    try:
        assert GivenRole().check(given.aws, given.names) is None
    finally:
        iam.meta.events.unregister("before-call.iam.GetPolicy", deny)


# -- a key of yours ------------------------------------------------------------------------------------------------


def test_a_key_of_yours_is_looked_at_and_left_alone(make_site: Callable[..., Site]):
    site = make_site()
    kms = site.aws("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    given = make_site(key=key, prefix=site.names.prefix)
    with pytest.raises(AwsRefused, match="does not let SNS use it"):
        given.apply()
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    policy["Statement"].append({"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "kms:*"})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    given.apply()
    assert given.attributes()["KmsMasterKeyId"] == key
    assert not [call for call in given.aws.changes() if call[0] == "kms"]
    given.remove()
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Enabled"]
    kms.disable_key(KeyId=key.rpartition("/")[2])
    with pytest.raises(AwsRefused, match="disabled"):
        given.apply()


# -- removing ------------------------------------------------------------------------------------------------------


def test_removing_takes_what_was_made_and_only_that(make_site: Callable[..., Site]):
    site = make_site(make_key=True, function=True)
    site.apply()
    other = make_site()
    other.apply()
    site.aws("sqs").create_queue(QueueName="foreign-queue")
    gone = site.remove()
    assert len(gone) == 10
    assert site.remove() == []
    assert other.drifts() == []
    assert site.aws("sqs").get_queue_url(QueueName="foreign-queue")
    assert site.aws("kms").list_aliases()
    site.aws("sqs").delete_queue(QueueUrl=site.aws("sqs").get_queue_url(QueueName="foreign-queue")["QueueUrl"])


def test_what_was_made_before_something_of_yours_took_its_place_goes_too(make_site: Callable[..., Site]):
    before = make_site(make_key=True)
    before.apply()
    prefix = before.names.prefix
    s3, mine = before.aws("s3"), f"mine-{prefix}"
    s3.create_bucket(Bucket=mine, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    role = f"arn:aws:iam::{ACCOUNT}:role/mine-{prefix}"
    service = trust("rekognition.amazonaws.com")
    before.aws("iam").create_role(RoleName=f"mine-{prefix}", AssumeRolePolicyDocument=service)
    before.aws("iam").put_role_policy(RoleName=f"mine-{prefix}", PolicyName="x", PolicyDocument=everything())
    made = before.aws("kms").create_key(Policy=json.dumps(policies.key(before.names)))["KeyMetadata"]["Arn"]
    after = make_site(prefix=prefix, bucket=mine, role=role, key=made)
    after.apply()
    gone = " ".join(after.remove())
    assert f"bucket {before.names.bucket}" in gone
    assert f"role {prefix}-rekognition" in gone
    assert f"KMS key alias/{prefix}" in gone
    assert before.remove() == []
    assert s3.head_bucket(Bucket=mine)
    assert before.aws("iam").get_role(RoleName=f"mine-{prefix}")
    assert before.aws("kms").describe_key(KeyId=made.rpartition("/")[2])["KeyMetadata"]["Enabled"]


def test_who_may_not_look_at_a_bucket_of_before_can_still_remove(make_site: Callable[..., Site]):
    site = make_site()
    s3, mine = site.aws("s3"), f"mine-{site.names.prefix}"
    s3.create_bucket(Bucket=mine, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    given = make_site(prefix=site.names.prefix, bucket=mine)
    given.apply()

    def deny(params: dict[str, Any], **_: object) -> None:
        if params["url_path"] == f"/{site.names.bucket}":
            raise AwsDenied("not yours to look at")

    s3.meta.events.register("before-call.s3.HeadBucket", deny)
    try:
        assert given.remove()
    finally:
        s3.meta.events.unregister("before-call.s3.HeadBucket", deny)


def test_the_policy_is_taken_from_everybody_however_many(site: Site):
    arn, none = site.names.policy_arn, {"PolicyUsers": [], "PolicyRoles": [], "PolicyGroups": []}
    with site.aws.answering("iam") as stub:
        for user, more in (("ana", {"IsTruncated": True, "Marker": "m"}), ("ben", {})):
            stub.add_response("list_entities_for_policy", {**none, "PolicyUsers": [{"UserName": user}], **more})
        for user in ("ana", "ben"):
            stub.add_response("detach_user_policy", {}, {"UserName": user, "PolicyArn": arn})
        stub.add_response("list_policy_versions", {"Versions": []})
        stub.add_response("delete_policy", {})
        RuntimePolicy().remove(site.aws, site.names)
        stub.assert_no_pending_responses()


def test_a_key_is_not_lost_where_removing_it_is_cut_short(make_site: Callable[..., Site]):
    site = make_site(make_key=True)
    learnt = Key().learn(site.aws, site.apply())

    def denied(**_: object) -> None:
        raise AwsDenied("cut short")

    for operation in ("ScheduleKeyDeletion", "DeleteAlias"):
        site.aws("kms").meta.events.register(f"before-call.kms.{operation}", denied)
        try:
            with contextlib.suppress(AwsDenied):
                Key().destroy(site.aws, site.names)
        finally:
            site.aws("kms").meta.events.unregister(f"before-call.kms.{operation}", denied)
        assert Key().remains(site.aws, site.names)
    Key().destroy(site.aws, site.names)
    assert Key().remains(site.aws, site.names) is None
    described = site.aws("kms").describe_key(KeyId=learnt.key.rpartition("/")[2])
    assert described["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_removing_leaves_strangers_of_the_same_name(make_site: Callable[..., Site]):
    site = make_site()
    site.aws("sns").create_topic(Name=site.names.topic)
    site.aws("iam").create_role(RoleName=site.names.role, AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
    assert site.remove() == []
    assert site.aws("iam").get_role(RoleName=site.names.role)
    assert site.aws("sns").get_topic_attributes(TopicArn=site.names.topic_arn)


def test_a_bucket_with_something_in_it_is_removed_by_force_only(make_site: Callable[..., Site]):
    site = make_site(tls=False)
    site.apply()
    s3 = site.aws("s3")
    s3.put_bucket_versioning(Bucket=site.names.bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"one", b"two"):
        s3.put_object(Bucket=site.names.bucket, Key="a", Body=body)
    s3.delete_object(Bucket=site.names.bucket, Key="a")
    with pytest.raises(AwsRefused, match=r"still holds 3 objects .* with --force they are lost"):
        site.remove()
    assert site.drifts() == []
    assert f"bucket {site.names.bucket}" in site.remove(force=True)
    with pytest.raises(s3.exceptions.ClientError):
        s3.head_bucket(Bucket=site.names.bucket)


def test_what_a_stack_made_is_left_to_the_stack(site: Site):
    tags = {"aws:cloudformation:stack-name": "cctv"}
    site.aws("sqs").tag_queue(QueueUrl=site.queue_url, Tags=tags)
    with pytest.raises(AwsRefused, match="stack cctv: delete the stack"):
        site.remove()
    assert site.aws.changes()[-1] == ("sqs", "TagQueue")


def test_who_may_not_look_at_functions_can_still_remove(site: Site):
    with site.aws.answering("lambda") as stub:
        stub.add_client_error("get_function", "AccessDeniedException", "no", 403)
        assert f"queue {site.names.queue}" in site.remove()


def test_who_may_not_look_at_the_bucket_is_told(site: Site):
    with site.aws.answering("s3") as stub:
        stub.add_client_error("head_bucket", "403", "Forbidden", 403)
        with pytest.raises((AwsRefused, AwsDenied), match="s3:ListBucket"):
            site.remove()


# -- the test message ----------------------------------------------------------------------------------------------


def test_a_test_message_arrives_and_others_are_left_alone(site: Site):
    sns, sqs = site.aws("sns"), site.aws("sqs")
    for number in range(23):
        sns.publish(TopicArn=site.names.topic_arn, Message=json.dumps({"JobId": f"job{number}"}))
    site.aws.calls.clear()
    assert proof.prove(site.aws, site.names) >= 0
    assert [call for call in site.aws.calls if call[1] == "DeleteMessage"] == [("sqs", "DeleteMessage")]
    jobs = set()
    for _ in range(5):
        answer = sqs.receive_message(QueueUrl=site.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        jobs |= {json.loads(json.loads(message["Body"])["Message"])["JobId"] for message in answer.get("Messages", [])}
    assert jobs == {f"job{number}" for number in range(23)}


def test_a_test_message_that_does_not_arrive_says_so(site: Site, monkeypatch: pytest.MonkeyPatch):
    site.aws("sns").unsubscribe(SubscriptionArn=site.subscription())
    monkeypatch.setattr(proof, "ROUND_S", 0)
    monkeypatch.setattr(proof, "ROUNDS", 1)
    ticks = iter(range(0, 1000, 10))
    with pytest.raises(AwsRefused, match="did not arrive"):
        proof.prove(site.aws, site.names, clock=lambda: next(ticks))
