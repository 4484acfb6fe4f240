"""list_ec2.py ENDPOINT: the same listing with boto3's paginator, and what it cost."""

import json
import resource
import sys
import time

import boto3

client = boto3.client("ec2", region_name="eu-west-1", endpoint_url=sys.argv[1])
start = time.monotonic()
pages = 0
kept = []
for page in client.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 1000}):
    pages += 1
    for reservation in page["Reservations"]:
        kept.extend(reservation["Instances"])
wall = time.monotonic() - start
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "client": "boto3",
    "instances": len(kept),
    "pages": pages,
    "wall": round(wall, 2),
    "cpu": round(used.ru_utime + used.ru_stime, 2),
    "peakMiB": round(used.ru_maxrss / 1024),
}))
