"""Hearing back from the CRMs before anything is decided: what humans did, who they are, whom somebody is on already."""
