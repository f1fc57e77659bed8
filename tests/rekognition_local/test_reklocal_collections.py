"""Collections over HTTP, with boto3."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.aws_stack import AwsPlace
from vidsearch.rekognition_local.faults import Faults


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return str(caught.value.response["Error"]["Code"])


def test_a_collection_from_beginning_to_end(aws: AwsPlace, collection: str) -> None:
    described = aws.rekognition.describe_collection(CollectionId=collection)
    assert (described["FaceCount"], described["FaceModelVersion"]) == (0, "7.0")
    assert described["CollectionARN"] == f"arn:aws:rekognition:us-east-1:123456789012:collection/{collection}"
    assert described["CreationTimestamp"].year >= 2026
    assert collection in aws.rekognition.list_collections()["CollectionIds"]
    assert aws.rekognition.delete_collection(CollectionId=collection)["StatusCode"] == 200
    assert collection not in aws.rekognition.list_collections()["CollectionIds"]


def test_a_second_of_the_same_name_is_refused(aws: AwsPlace, collection: str) -> None:
    with pytest.raises(aws.rekognition.exceptions.ResourceAlreadyExistsException) as caught:
        aws.rekognition.create_collection(CollectionId=collection)
    assert caught.value.response["Error"]["Message"] == f"The collection id: {collection} already exists."


@pytest.mark.parametrize("operation", ["describe_collection", "delete_collection", "list_faces"])
def test_an_unknown_one_is_not_found(aws: AwsPlace, operation: str) -> None:
    with pytest.raises(aws.rekognition.exceptions.ResourceNotFoundException) as caught:
        getattr(aws.rekognition, operation)(CollectionId="nobody")
    assert caught.value.response["Error"]["Message"] == "The collection id: nobody does not exist"


def test_collections_come_in_pages(aws: AwsPlace) -> None:
    names = [f"paged-{number}" for number in range(5)]
    for name in names:
        aws.rekognition.create_collection(CollectionId=name)
    pages = list(aws.rekognition.get_paginator("list_collections").paginate(PaginationConfig={"PageSize": 2}))
    assert all(len(page["CollectionIds"]) == len(page["FaceModelVersions"]) <= 2 for page in pages)
    found = [name for page in pages for name in page["CollectionIds"]]
    assert set(names) <= set(found)
    assert len(found) == len(set(found))
    for name in names:
        aws.rekognition.delete_collection(CollectionId=name)


def test_a_page_token_is_good_for_its_own_listing_only(aws: AwsPlace, collection: str) -> None:
    aws.rekognition.create_collection(CollectionId=f"{collection}-2")
    token = aws.rekognition.list_collections(MaxResults=1)["NextToken"]
    for wrong in (token[:-8] + "AAAAAAA=", "nonsense", "bm9uc2Vuc2U="):
        with pytest.raises(aws.rekognition.exceptions.InvalidPaginationTokenException):
            aws.rekognition.list_collections(NextToken=wrong)
    with pytest.raises(aws.rekognition.exceptions.InvalidPaginationTokenException):
        aws.rekognition.list_faces(CollectionId=collection, NextToken=token)


def test_tags(aws: AwsPlace) -> None:
    made = aws.rekognition.create_collection(CollectionId="tagged", Tags={"project": "vidsearch"})
    arn = f"arn:{made['CollectionArn']}"
    aws.rekognition.tag_resource(ResourceArn=arn, Tags={"case": "7"})
    assert aws.rekognition.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"project": "vidsearch", "case": "7"}
    aws.rekognition.untag_resource(ResourceArn=arn, TagKeys=["project"])
    assert aws.rekognition.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"case": "7"}
    with pytest.raises(aws.rekognition.exceptions.ServiceQuotaExceededException):
        aws.rekognition.tag_resource(ResourceArn=arn, Tags={f"k{n}": "v" for n in range(200)})
    aws.rekognition.delete_collection(CollectionId="tagged")
    with pytest.raises(aws.rekognition.exceptions.ResourceNotFoundException):
        aws.rekognition.list_tags_for_resource(ResourceArn=arn)


def test_a_new_model_is_of_new_collections(aws: AwsPlace, collection: str) -> None:
    aws.server.plan.replace(Faults(model_version="8.0"))
    aws.rekognition.create_collection(CollectionId="newer")
    assert aws.rekognition.describe_collection(CollectionId="newer")["FaceModelVersion"] == "8.0"
    assert aws.rekognition.describe_collection(CollectionId=collection)["FaceModelVersion"] == "7.0"
    aws.rekognition.delete_collection(CollectionId="newer")


def test_what_the_model_forbids_is_a_validation_error(aws: AwsPlace) -> None:
    with pytest.raises(ClientError) as caught:
        aws.rekognition.create_collection(CollectionId="two words")
    assert code_of(caught) == "ValidationException"


def test_what_is_not_offered_says_so(aws: AwsPlace, portrait: dict[str, bytes]) -> None:
    with pytest.raises(ClientError) as caught:
        aws.rekognition.detect_labels(Image=portrait)
    assert code_of(caught) == "UnknownOperationException"
    assert "DetectLabels" in caught.value.response["Error"]["Message"]
