"""Reads YAML for the tests of deploy/, and judges objects of Kubernetes.

  kubernetes.py read FILE          prints the documents of a YAML file as one JSON array
  kubernetes.py judge FILE VERSION  the same array again; prints an array of complaints about those of its objects that are of
                                   Kubernetes itself: kubernetes-validate, strict: unknown fields are refused
"""

import json
import sys

import yaml


def core(document):
    group = document.get("apiVersion", "").rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io") and not group.startswith("gateway.")


def judge(documents, version):
    import kubernetes_validate

    complaints = []
    for document in filter(core, documents):
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except Exception as error:  # whatever it is, it was not accepted
            name = f"{document.get('kind')} {document.get('metadata', {}).get('name')}"
            complaints.append(f"{name}: {getattr(error, 'message', error)}")
    return complaints


def main(what, file, *arguments):
    with open(file, encoding="utf-8") as stream:
        documents = [document for document in yaml.safe_load_all(stream) if document is not None]
    if what == "judge":
        # JSON is YAML: the array is the one document.
        json.dump(judge(documents[0], *arguments), sys.stdout)
    else:
        json.dump(documents, sys.stdout)


main(*sys.argv[1:])
