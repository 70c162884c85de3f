"""How well a classifier tells tonight's vectors from earlier ones: a figure that people can read, beside the test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.vectors import Vectors

__all__ = ["separability"]

FOLDS = 4
FEWEST = 40  # vectors of each side


def separability(now: Vectors, documents: Sequence[str], before: Vectors, names: Sequence[str]) -> float | None:
    """The area under the ROC curve of a logistic regression that tells two sets of vectors apart (Lopez-Paz 2017).

    Half where nobody can tell them apart, 1 where everybody can. The vectors of a document are on one side of each
    split, so that it is not recognised by itself.

    Args:
        now: Of shape (n, dimension).
        documents: The document of each.
        before: Of shape (m, dimension).
        names: The document of each.

    Returns:
        It; None of too few vectors.
    """
    if min(len(now), len(before)) < FEWEST:
        return None
    # Here: scikit-learn takes a second to import, and a night that is as usual asks nothing of it.
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict

    vectors = np.concatenate([now, before])
    label = np.concatenate([np.ones(len(now)), np.zeros(len(before))])
    groups = np.array([f"now {name}" for name in documents] + [f"before {name}" for name in names])
    if min(len(set(documents)), len(set(names))) < FOLDS:
        return None
    model = LogisticRegression(C=1.0, class_weight="balanced", max_iter=200)
    score = cross_val_predict(model, vectors, label, groups=groups, cv=GroupKFold(FOLDS), method="decision_function")
    return float(roc_auc_score(label, score))
