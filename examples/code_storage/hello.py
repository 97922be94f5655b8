"""The flow that is pulled: it lies in a repository or a bucket, and in no image."""

from prefect import flow


@flow(name="pulled", log_prints=True)
def hello(name: str = "you") -> str:
    """Something short."""
    print(f"hello {name}")
    return f"hello {name}"
