"""Forgetting people: asked for here, carried to the CRMs by ordinary runs, then every trace of it deleted."""
