"""What a predictor has learned, in equations."""
