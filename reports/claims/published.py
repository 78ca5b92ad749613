"""The paper's own numbers (Guo et al. 2024, Tables 1 to 3), for full-size models. Data only."""

from __future__ import annotations

TABLE_1 = (
    ("Gen-2", "–", ".0800", ".9252", ".2490", "12.5976", "2.50"),
    ("Pika", "–", ".0691", ".9021", ".1316", "9.4587", "4.45"),
    ("DynamiCrafter", "1.10B", ".0848", ".9275", ".4185", "14.3825", "6.45"),
    ("I2VGen-XL", "3.40B", ".0459", ".6904", ".6111", "12.6566", "6.55"),
    ("SVD", "1.52B", ".0847", ".9365", ".6883", "20.8362", "4.35"),
    ("I2V-Adapter, SD 1.5", "24M", ".0873", ".9379", ".7069", "9.8967", "2.25"),
    ("I2V-Adapter, SDXL", "204M", ".0887", ".9389", ".7124", "11.8388", "1.45"),
)
"""Method, trainable weights, DoverVQA, CLIPTemp, FlowScore, WarpingError, AUR."""

TABLE_1_HEAD = (
    "Method",
    "Trainable",
    "DoverVQA ↑",
    "CLIPTemp ↑",
    "FlowScore ↑",
    "WarpingError ↓",
    "AUR ↓",
)

TABLE_2 = {
    "t0": (
        (1.0, 0.8395, 11.74),
        (0.9, 0.4168, 10.08),
        (0.8, 0.2712, 9.14),
        (0.7, 0.1912, 8.35),
        (0.6, 0.1428, 7.63),
    ),
    "p": (
        (0.9, 0.9895, 12.09),
        (0.7, 0.9064, 11.84),
        (0.5, 0.8046, 11.62),
        (0.3, 0.7477, 11.50),
        (0.1, 0.6918, 11.30),
    ),
}
"""Swept setting -> its value, FlowScore, WarpingError; t0 at p = 1 and p at t0 = 1."""

TABLE_3 = (
    ("neither", ".0264", ".7013", "1.5671", "24.59"),
    ("without I2V-Adapter", ".0428", ".8841", ".2684", "13.78"),
    ("without content adapter", ".0813", ".9158", "1.3533", "19.56"),
    ("full", ".0887", ".9389", ".7124", "11.84"),
)
"""Design, DoverVQA, CLIPTemp, FlowScore, WarpingError."""

TABLE_3_HEAD = ("Design", "DoverVQA ↑", "CLIPTemp ↑", "FlowScore", "WarpingError ↓")
