"""Which of the 468 points of a face lies where?

Indices into MediaPipe's face mesh (Kartynnik et al. 2019, arXiv:1907.06724). Right and left are the
person's: the right eye is on the left of the image. Imports nothing.
"""

from __future__ import annotations

POINTS = 468

# single points
NOSE_TIP, FOREHEAD, CHIN = 1, 10, 152
RIGHT_EAR, LEFT_EAR = 234, 454  # the edge of the face before the ear
RIGHT_EYE_OUTER, RIGHT_EYE_INNER = 33, 133
LEFT_EYE_OUTER, LEFT_EYE_INNER = 263, 362
UPPER_LIP_INSIDE, LOWER_LIP_INSIDE = 13, 14
RIGHT_LIP_CORNER, LEFT_LIP_CORNER = 61, 291

# pairs and what crops are laid on
RIGHT_EYE = (RIGHT_EYE_OUTER, RIGHT_EYE_INNER)
LEFT_EYE = (LEFT_EYE_OUTER, LEFT_EYE_INNER)
LIPS_INSIDE = (UPPER_LIP_INSIDE, LOWER_LIP_INSIDE)
LIP_CORNERS = (RIGHT_LIP_CORNER, LEFT_LIP_CORNER)
MOUTH = (*LIP_CORNERS, *LIPS_INSIDE)
RIGHT_LIDS = ((159, 145), (158, 153), (160, 144))  # upper and lower
LEFT_LIDS = ((386, 374), (385, 380), (387, 373))
CHEEKS = ((50, 101, 205, 187), (280, 330, 425, 411))  # right and left, below the eyes

# what hardly follows expression: bridge of the nose, forehead, corners of the eyes
RIGID = (33, 133, 263, 362, 168, 6, 197, 195, 5, 4, 1, 10, 151, 9, 8, 54, 284)
REGIONS = {
    "brows": (70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    "eyes": (33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    "nose": (168, 6, 197, 195, 5, 4, 1, 98, 327),
    "mouth": (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 13, 14),
    "jaw": (172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397),
    "cheeks": (50, 101, 205, 187, 280, 330, 425, 411),
}

# right halves of the four lip lines, corner to middle, and the chin; then their mirror images
RIGHT_LIP_LINES = (
    *(61, 185, 40, 39, 37, 0, 146, 91, 181, 84, 17),
    *(78, 191, 80, 81, 82, 13, 95, 88, 178, 87, 14, 152),
)
LEFT_LIP_LINES = (
    *(291, 409, 270, 269, 267, 0, 375, 321, 405, 314, 17),
    *(308, 415, 310, 311, 312, 13, 324, 318, 402, 317, 14, 152),
)

# outlines of parts that are pasted (training.augment.pseudo_fakes); each eye with its brow
LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
RIGHT_EYE_AND_BROW = (33, 163, 145, 154, 133, 157, 159, 161, 70, 63, 105, 66, 107)
LEFT_EYE_AND_BROW = (263, 390, 374, 381, 362, 384, 386, 388, 300, 293, 334, 296, 336)
NOSE = (1, 2, 6, 48, 64, 98, 168, 278, 294, 327, 122, 351)
INNER_FACE = (*RIGHT_EYE_AND_BROW, *LEFT_EYE_AND_BROW, *NOSE, *LIPS, 18, 50, 280)

# few points that carry the motion of a face (training.augment.moving_faces)
OVAL = (10, 297, 284, 389, 454, 361, 397, 379, 400, 152, 176, 150, 172, 132, 234, 162, 54, 67)
LIPS_OUTER = (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91)
LIPS_INNER = (78, 81, 13, 311, 308, 402, 14, 178)
EYES = (33, 159, 133, 145, 362, 386, 263, 374)
BROWS = (70, 105, 107, 336, 334, 300)
FEW_OF_NOSE = (1, 4, 98, 327, 6, 168)
SPARSE = OVAL + LIPS_OUTER + LIPS_INNER + EYES + BROWS + FEW_OF_NOSE
FEW_RIGID = (33, 133, 362, 263, 168, 6, 1, 4, 234, 454)
LOWER_FACE = (234, 132, 172, 150, 176, 152, 400, 379, 397, 361, 454, 4)
FEW_INNER = (70, 105, 334, 300, 454, 361, 397, 379, 152, 150, 172, 132, 234)
