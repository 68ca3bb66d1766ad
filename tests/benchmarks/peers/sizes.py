"""The sizes that ours and the peers' forms of a workload share."""

DEPTH, BATCH, SIZE, CHANNELS = 1000, 32, 8, 32  # the deep network

LAYERS = ((3, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1))  # channels in, channels out, stride
CLASSES = 10
STEP_BATCH, IMAGES = 128, 256  # images of a training step, of a Hessian-vector product
SEEDS, SEED_BATCH = 8, 32

TASKS, WAYS, QUERIES, STEPS, FILTERS, RATE = 16, 5, 15, 5, 32, 0.01  # second-order MAML

VARIANCES = {"weight_variance": 2.0, "bias_variance": 0.1}  # kernel matrices

WIDE, CKA_BATCH = (10_000, 4_096), 250  # activations of a wide layer, and the batches of a stream of them
