"""The reference: MNIST with wrong labels and cross-entropy, trained as public code does it.

One plain script: torchvision's data set, ToTensor and Normalize, a DataLoader with one worker
process, float32, as many threads as torch takes by itself. Network, labels and settings are those
of `labelnoise.config.protocols.MNIST_PROTOCOL`. A line of JSON an epoch says how it went.

    python benchmarks/reference.py FOLDER_OF_TORCHVISION [--model cnn4] [--epochs 50]
"""

import argparse
import json
import time

import torch
from torch import nn
from torch.utils.data import DataLoader

from labelnoise import models, noise
from labelnoise.data.torchvision_shim import import_torchvision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="what torchvision calls root: it holds MNIST/raw")
    parser.add_argument("--model", choices=("cnn4", "mlp"), default="cnn4")
    parser.add_argument("--epochs", type=int, default=50)
    asked = parser.parse_args()

    torchvision = import_torchvision()
    transform = torchvision.transforms.Compose(
        [
            torchvision.transforms.ToTensor(),
            torchvision.transforms.Normalize((0.1307,), (0.3081,)),
        ]
    )
    train_set = torchvision.datasets.MNIST(asked.folder, train=True, transform=transform)
    test_set = torchvision.datasets.MNIST(asked.folder, train=False, transform=transform)
    given, _ = noise.corrupt(train_set.targets.numpy(), noise.symmetric(10, 0.6), seed=0)
    train_set.targets = torch.from_numpy(given)
    train_loader = DataLoader(train_set, batch_size=128, shuffle=True, num_workers=1)
    test_loader = DataLoader(test_set, batch_size=128, num_workers=1)

    model = models.build(asked.model, (1, *train_set.data.shape[1:]), 10, seed=0)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=asked.epochs)

    for epoch in range(1, asked.epochs + 1):
        began = time.perf_counter()
        model.train()
        train_loss = 0.0
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            train_loss += loss.item() * len(labels)
        scheduler.step()

        model.eval()
        correct = 0
        with torch.no_grad():
            for images, labels in test_loader:
                correct += (model(images).argmax(dim=1) == labels).sum().item()
        said = {
            "epoch": epoch,
            "seconds": time.perf_counter() - began,
            "train_loss": train_loss / len(train_set),
            "test_accuracy": 100 * correct / len(test_set),
        }
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
