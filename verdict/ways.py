"""How do the likelihood ratios of several ways to fake a file come together?

A fake is made in one way: the face was exchanged or drawn, the mouth was drawn again, or the voice
is another's. What looks for one way says nothing about the others, so a spotless mouth does not
clear a generated face. With q the share of each way among all fakes and P its evidence, the
likelihood ratio of a fake is the mean ``sum of q exp(P)``. Imports nothing of the project.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

NODES = 32  # of the quadrature; its error is below 1e-9 for evidence up to 10
_TIMES, _WEIGHTS = np.polynomial.legendre.leggauss(NODES)


def attribution(evidence: Mapping[str, float], shares: Mapping[str, float]) -> dict[str, float]:
    """By how much the evidence of each way counts, 0..1.

    ``log(sum of q exp(P))`` is exactly ``sum of a P``, where a is the posterior share of a way
    among the fakes, averaged on the straight line from no evidence to all (integrated gradients,
    Sundararajan et al. 2017, arXiv:1703.01365). So the sum stays the explanation.

    Args:
        evidence: P of every way that was judged, natural log-likelihood ratio.
        shares: q of all ways, above 0; those that were judged are brought to a sum of 1.

    Returns:
        a of every way in ``evidence``; for a single one, 1.
    """
    names = list(evidence)
    log_shares = np.log([shares[name] for name in names])
    values = np.array([evidence[name] for name in names])
    times = (_TIMES[:, None] + 1) / 2
    logits = log_shares + times * values
    posterior = np.exp(logits - logits.max(1, keepdims=True))
    posterior /= posterior.sum(1, keepdims=True)
    return dict(zip(names, (_WEIGHTS / 2 @ posterior).tolist(), strict=True))
